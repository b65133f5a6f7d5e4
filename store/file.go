package store

import (
	"sync"

	bolt "go.etcd.io/bbolt"
)

// file is a bbolt file that closes after its last reader. bbolt's own Close
// waits too, but the other readers cannot end while it does (db.go, Close and
// removeTx): one slow snapshot would hold up every request.
type file struct {
	*bolt.DB
	readers sync.WaitGroup
}

// reader is a read transaction; it is ended with end.
type reader struct {
	*bolt.Tx
	file *file
}

func (f *file) read() (*reader, error) {
	tx, err := f.Begin(false)
	if err != nil {
		return nil, err
	}
	f.readers.Add(1)
	return &reader{Tx: tx, file: f}, nil
}

func (r *reader) end() {
	_ = r.Rollback() // a read transaction has nothing to lose
	r.file.readers.Done()
}

// close is called when no reader can begin any more.
func (f *file) close() error {
	f.readers.Wait()
	return f.DB.Close()
}
