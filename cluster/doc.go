// Package cluster is one member of the Raft cluster: it opens raft on the
// store, talks to the other members over mutual TLS, and lets the floors above
// propose commands, read consistently, join, remove members and hand over
// leadership without knowing who leads.
//
// One TCP listener carries two protocols, told apart by ALPN: raft's own, and
// member-to-member calls. Members know each other by certificates of the
// cluster's CA, whose key lives in the replicated records.
//
// What is true at any time: a member leads, for anyone above this package, only
// after a barrier of its term has passed; a command carries a request id, so
// that a retry is never applied twice; a consistent read is answered only after
// a majority of the voters has denied knowing a later term.
//
// It must never know what an upgrade does or how the API looks. Of an upgrade
// it asks one thing: whether membership is frozen.
package cluster
