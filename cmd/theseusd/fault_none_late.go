//go:build !fault_hang_late

package main

// misbehaveLate does nothing: this build does not hang while it serves.
func misbehaveLate() {}
