package upgrader

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/binary"
)

// Cluster is what the upgrader asks of the member's place in the cluster. Every
// call may be made again.
type Cluster interface {
	// Propose commits a command and returns when it is applied here. The same
	// command, proposed again, is answered again and not applied again.
	Propose(ctx context.Context, c store.Command) (store.Answer, error)
	// Note puts a line into the audit trail for what a person has done without a command.
	Note(ctx context.Context, what string) error
	// ProposeChunk commits a piece of an archive.
	ProposeChunk(ctx context.Context, c store.Chunk) error
	// ReadIndex returns when the local store is as new as the cluster was at the call.
	ReadIndex(ctx context.Context) error

	Leading() bool
	Leadership() <-chan struct{}
	HandOver(ctx context.Context, to string) error
	Voters() []string

	// Compact drops the log but for its last entries, and with it the stubs of archives.
	Compact(ctx context.Context, trailing uint64) error
	// Call asks another member, or this one, over the member-to-member port.
	Call(ctx context.Context, member, path string, in, out any) error
	// Handle answers such calls.
	Handle(path string, answer func(context.Context, json.RawMessage) (any, error))
	// Fetch asks another member for size bytes; the caller closes the body.
	Fetch(ctx context.Context, member, path string, in any) (body io.ReadCloser, size int64, err error)
	// HandleStream answers such fetches.
	HandleStream(path string, answer func(context.Context, json.RawMessage) (io.ReadCloser, int64, error))
}

// Process is the daemon around the upgrader: what it takes to leave the port
// and become another image.
type Process interface {
	// LameDuck keeps serving but asks clients to come back on new connections.
	LameDuck()
	// Recover undoes LameDuck.
	Recover()
	// Quiet returns when nothing is in flight that would be lost.
	Quiet(ctx context.Context) error
	// Reexec parks accepting, closes everything, runs swap and becomes the image
	// at the path of the binary. It returns only if nothing was closed yet;
	// later failures put the process back into the current image.
	Reexec(ctx context.Context, swap func() error) error
}

// Pulse is who listens to the loop.
type Pulse interface {
	// Beat is called at each pass of the loop, and before it does something that
	// may take so long.
	Beat(busy time.Duration)
	// Leaving is said before the swap; the rest of this image takes at most quiet.
	Leaving(quiet time.Duration) error
}

// Config is what an Upgrader is made of.
type Config struct {
	Store   *store.Store
	Cluster Cluster
	Process Process
	Own     *binary.Own   // this member's executable on disk
	Trust   staging.Trust // who may sign packages
	Limits  staging.Limits
	Self    model.Member // what this member reports of itself
	Launch  binary.Start // how to start the daemon again, for the watcher
	DataDir string
	CACert  string // file of the CA's certificate, for migrations that speak to this member's API
	Pulse   Pulse  // nil: nobody listens
	Hooks   Hooks

	// Shapes are the types of what this version's API answers; nil: not told.
	Shapes func(context.Context) (map[string]string, error)
	Log    *slog.Logger
}

// Upgrader runs one member's part in upgrades.
type Upgrader struct {
	Config

	// Owned by Run's goroutine.
	clock     clock
	pong      *Pong
	tries     int
	answered  map[string]bool
	apart     []string
	trouble   string  // what went wrong last, so that it is logged once
	compacted string  // the upgrade whose chunks were compacted away
	swept     string  // for which records the directory of the binary was swept
	copied    *string // the copy of the records that is kept; nil: not looked at yet
	backTold  string  // what the last proof of a way back tried
	leaseOf   clock
	tried     time.Time // when a scheduled start was tried last
	proven    bool      // what vouches for the running image is kept
	drained   errand    // the turn that the drain hook has run for

	trials  sync.Mutex // held for a trial run: one at a time
	backups sync.Mutex // held for writing a backup

	born  time.Time
	until atomic.Int64 // the loop is not silent before; nanoseconds since born

	passes atomic.Uint64 // of the loop
	wake   chan struct{} // has the loop pass once more

	mu       sync.Mutex
	held     map[string]bool // archives that an upload here is about to announce
	rendered rendered        // the tracking profile as last rendered

	lent map[[sha256.Size]byte]model.Pass // what migrations at work here may do, by the digest of their secret
}

// New makes an Upgrader and registers what it answers to other members. Run it.
func New(c Config) *Upgrader {
	u := &Upgrader{Config: c, held: map[string]bool{}, lent: map[[sha256.Size]byte]model.Pass{}, born: time.Now(), wake: make(chan struct{}, 1)}
	c.Cluster.Handle(pathWell, u.answerWell)
	c.Cluster.Handle(pathReady, u.answerReady)
	c.Cluster.Handle(pathPreflight, u.answerPreflight)
	c.Cluster.Handle(pathEstimate, u.answerEstimate)
	c.Cluster.Handle(pathCanaryWrite, u.answerCanaryWrite)
	c.Cluster.Handle(pathCanaryRead, u.answerCanaryRead)
	c.Cluster.Handle(pathShapes, u.answerShapes)
	c.Cluster.Handle(pathDigest, u.answerDigest)
	c.Cluster.Handle(pathProveBack, u.answerProveBack)
	c.Cluster.Handle(pathCheck, u.answerCheck)
	c.Cluster.Handle(pathStanding, u.answerStanding)
	c.Cluster.Handle(pathRelease, u.answerRelease)
	c.Cluster.HandleStream(pathBinary, u.answerBinary)
	c.Cluster.Handle(pathLate, u.answerLate)
	c.Cluster.Handle(pathPartial, u.answerPartial)
	c.Cluster.HandleStream(pathPart, u.answerPart)
	c.Cluster.Handle(pathBackups, u.answerBackups)
	c.Cluster.HandleStream(pathBackupFile, u.answerBackupFile)
	c.Cluster.Handle(pathBackupDrop, u.answerBackupDrop)
	return u
}
