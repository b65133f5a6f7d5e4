// Package client speaks to a Theseus cluster over its HTTP API, for the command
// line and for other programs.
//
// A Client talks to one member; any member answers for the whole cluster. Reads
// are tried again while nothing answers, up to Config.Patience, so that a member
// that restarts is not noticed. Writes are sent once: when the connection breaks
// before the answer, whether they were done is unknown, and the error says so.
//
// An answer of 400 and above is a *model.Error, as the server sent it. No answer
// at all is an *Unreachable.
//
// The package must never know what a command line is, nor read the environment
// or a file: what it needs is handed to it.
package client
