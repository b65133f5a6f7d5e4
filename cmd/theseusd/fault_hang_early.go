//go:build fault_hang_early

package main

// misbehaveEarly makes a build with FAULT=hang-early a bad release: it passes its
// self-check and stands still as soon as it is to serve, before it opens anything.
func misbehaveEarly() { select {} }
