// Package api is the HTTP surface of a member: routes, logins, errors, and the
// server with the drain that loses no request when the binary is exchanged.
//
// Handlers return a status, a body and an error; one function writes, and one
// table turns errors into statuses. Every answer of 400 and above has Digital
// Rebar's error shape, every answer a content type and a known length.
//
// It must never know how an upgrade proceeds, who is next, or what raft is: it
// asks the floors below and puts their answers on the wire.
package api
