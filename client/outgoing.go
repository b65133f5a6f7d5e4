package client

import (
	"io"
	"sync/atomic"
	"time"
)

// outgoing is an archive on its way out. net/http may read on for a moment after
// the answer has come.
type outgoing struct {
	from io.Reader
	at   int64 // of the archive
	tell func(int64)

	stall   *time.Timer // ends the request unless it is read from
	stalled atomic.Bool
	sent    atomic.Int64
}

func (o *outgoing) Read(b []byte) (int, error) {
	n, err := o.from.Read(b)
	sent := o.sent.Add(int64(n))
	o.tell(o.at + sent)
	if err != nil {
		o.stall.Stop() // what is waited for now is the answer
		return n, err
	}
	o.stall.Reset(stallLimit)
	return n, nil
}
