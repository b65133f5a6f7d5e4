//go:build fault_panic

package main

// misbehave makes a build with FAULT=panic a bad release: it passes its self-check
// and panics as soon as it serves.
func misbehave() {
	go func() { panic("this build was made with FAULT=panic") }()
}
