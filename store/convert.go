package store

import (
	"bytes"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/model"
)

// Conversion brings one kind of the store's own records to the form of a new
// version. It runs after the completion of the upgrade to that version, since the
// one before could not read what it leaves; until it is done, readers take both
// forms. The list only grows, as that of the commands does.
type Conversion struct {
	Name   string
	Since  string // the cluster version from which on it runs
	Bucket []byte
	// Each is a record in its new form. It is called once for each record that is
	// there, on every member, and has to answer the same everywhere; one that is in the
	// new form already it answers as it is.
	Each func(raw []byte) ([]byte, error)
}

// Conversions are all, in the order in which they run.
func Conversions() []Conversion { return nextConversions() }

// Converted is how far a conversion is.
type Converted struct {
	Name  string `json:"name"`
	After []byte `json:"after"` // the last key that was done
	Count int64  `json:"count"` // of records done
	Done  bool   `json:"done"`
}

// Convert is the next batch of a conversion: so many records behind a key, which
// has to be the one that was reached.
type Convert struct {
	Name  string `json:"name"`
	After []byte `json:"after"`
	Limit int    `json:"limit"`
}

var keyConverted = []byte("converted")

func convertOps() map[Op]op {
	return map[Op]op{OpStoreConvert: atLevel(2, convertBatch, Convert{})}
}

func convertBatch(e entry, c Convert) error {
	if c.Name == "" { // a drill's: there may be no conversion
		return nil
	}
	conversion, known := conversionOf(c.Name)
	if !known {
		return fmt.Errorf("this version does not know the conversion %q", c.Name)
	}
	all, at, err := convertedIn(e.tx, c.Name)
	if err != nil {
		return err
	}
	if at.Done || !bytes.Equal(at.After, c.After) || c.Limit <= 0 {
		return ErrConflict
	}
	if err := conversion.batch(e.tx, &at, c.Limit); err != nil {
		return err
	}
	return put(e.tx, bucketRecords, keyConverted, append(all, at))
}

func conversionOf(name string) (Conversion, bool) {
	for _, c := range Conversions() {
		if c.Name == name {
			return c, true
		}
	}
	return Conversion{}, false
}

// convertedIn is how far the conversion of that name is, and how far all others are.
func convertedIn(tx *bolt.Tx, name string) (others []Converted, one Converted, err error) {
	all, _, err := get[[]Converted](tx, bucketRecords, keyConverted)
	one.Name = name
	for _, c := range all {
		if c.Name == name {
			one = c
			continue
		}
		others = append(others, c)
	}
	return others, one, err
}

// batch converts the next records, and notes how far that came.
func (c Conversion) batch(tx *bolt.Tx, at *Converted, limit int) error {
	bucket := tx.Bucket(c.Bucket)
	type record struct{ key, value []byte }
	var batch []record // a bucket must not be written while it is gone through
	cursor := bucket.Cursor()
	key, value := cursor.Seek(at.After)
	if at.After != nil && bytes.Equal(key, at.After) {
		key, value = cursor.Next()
	}
	for ; key != nil && len(batch) < limit; key, value = cursor.Next() {
		fresh, err := c.Each(value)
		if err != nil {
			return fmt.Errorf("convert %s/%s: %w", c.Bucket, key, err)
		}
		batch = append(batch, record{bytes.Clone(key), fresh})
	}
	for _, r := range batch {
		if err := bucket.Put(r.key, r.value); err != nil {
			return err
		}
		at.After, at.Count = r.key, at.Count+1
	}
	at.Done = len(batch) < limit
	return nil
}

// Unconverted are the conversions that may run in a cluster and are not done, in
// their order, and of the first how many records there are.
func (v *View) Unconverted(cluster model.Cluster) (left []Converted, total int64, err error) {
	level := ops()[OpStoreConvert].level
	for _, c := range Conversions() {
		if (op{since: c.Since, level: level}).gate("conversion "+c.Name, cluster) != nil {
			continue // closed until the completion
		}
		_, at, err := convertedIn(v.tx, c.Name)
		if err != nil {
			return nil, 0, err
		}
		if at.Done {
			continue
		}
		if len(left) == 0 {
			total = int64(v.tx.Bucket(c.Bucket).Stats().KeyN)
		}
		left = append(left, at)
	}
	return left, total, nil
}
