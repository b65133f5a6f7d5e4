package binary

import "runtime/debug"

// RaiseTraceback makes a panic print every goroutine. With file capabilities the
// kernel starts a program in secure mode, and Go then prints nothing
// (runtime/security_unix.go sets GOTRACEBACK to none). Call it first in main.
func RaiseTraceback() { debug.SetTraceback("all") }
