package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// patient reads a body that may take as long as it likes but must not stand still.
type patient struct {
	io.ReadCloser
	outer  context.Context // the caller's
	call   context.Context // that of the request, which cancel ends
	cancel context.CancelCauseFunc
	timer  *time.Timer
	idle   time.Duration
	file   string
}

func newPatient(outer, call context.Context, cancel context.CancelCauseFunc, body io.ReadCloser, file string, idle time.Duration) *patient {
	p := &patient{ReadCloser: body, outer: outer, call: call, cancel: cancel, idle: idle, file: file}
	p.timer = time.AfterFunc(idle, func() { cancel(fmt.Errorf("no byte came for %s", idle)) })
	p.timer.Stop()
	return p
}

func (p *patient) Read(b []byte) (int, error) {
	p.timer.Reset(p.idle) // what the reader does with the bytes is not counted
	n, err := p.ReadCloser.Read(b)
	p.timer.Stop()
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	if cause := context.Cause(p.call); cause != nil {
		err = cause
	}
	return n, broken(p.outer, p.file, err)
}

func (p *patient) Close() error {
	p.timer.Stop()
	p.cancel(nil)
	return p.ReadCloser.Close()
}
