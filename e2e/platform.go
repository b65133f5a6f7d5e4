package e2e

import "runtime"

// platform is the one that everything here is built for and runs on.
func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }
