//go:build !fault_exit && !fault_segv && !fault_panic

package main

// misbehave does nothing: this is a good build. See the Makefile for FAULT.
func misbehave() {}
