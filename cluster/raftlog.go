package cluster

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// raftLog gives raft a logger that writes to ours.
func raftLog(log *slog.Logger) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Level: hclog.Off, Output: io.Discard})
	l.RegisterSink(sink{log.With("part", "raft")})
	return l
}

type sink struct{ log *slog.Logger }

// Accept implements hclog.SinkAdapter; it sees every level.
func (s sink) Accept(_ string, level hclog.Level, msg string, args ...any) {
	at := slogLevel(level)
	if !s.log.Enabled(context.Background(), at) {
		return
	}
	for i, a := range args {
		args[i] = plain(a)
	}
	s.log.Log(context.Background(), at, msg, args...)
}

func slogLevel(l hclog.Level) slog.Level {
	switch l {
	case hclog.Error:
		return slog.LevelError
	case hclog.Warn:
		return slog.LevelWarn
	case hclog.Info:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// plain makes text of what raft passes as formats and structs.
func plain(a any) any {
	switch v := a.(type) {
	case hclog.Format:
		return fmt.Sprintf(v[0].(string), v[1:]...)
	case fmt.Stringer:
		return v.String()
	case error, string, int, int64, uint64, bool, float32, float64:
		return v
	}
	return fmt.Sprint(a)
}
