package staging

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
)

func TestLimitsHold(t *testing.T) {
	key, trust := newKey(t)
	many := good(&key)
	for i := range 30 {
		many.add(part{name: fmt.Sprintf("docs/%d", i), body: "x"})
	}
	spread := good(&key) // no file is over the ratio, all together are
	for i := range 8 {
		spread.add(part{name: fmt.Sprintf("zeros/%d", i), body: strings.Repeat("\x00", 1<<20), method: zip.Deflate})
	}
	few := Limits{Size: 1 << 20, Entries: 37, Ratio: 100}
	rows := []struct {
		what    string
		archive []byte
		limits  Limits
		names   []string
	}{
		{"bytes", good(&key).bytes(t), Limits{Size: 100, Entries: 100, Ratio: 100}, []string{"100, the limit"}},
		{"bytes of a tar.gz", good(&key).in(t, TarGz), Limits{Size: 100, Entries: 100, Ratio: 100}, []string{"100, the limit"}},
		{"entries", many.bytes(t), few, []string{"38 files", "37, the limit"}},
		{"entries of a tar.gz", many.in(t, TarGz), few, []string{"38 files", "37, the limit"}},
		{"ratio of all", spread.bytes(t), DefaultLimits(), []string{"it unpacks", "100 times"}},
		{"ratio of all in a tar.gz", spread.in(t, TarGz), DefaultLimits(), []string{"it unpacks", "100 times"}},
		{"nothing allowed", good(&key).bytes(t), Limits{}, []string{"0, the limit"}},
		{"nothing of a tar.gz allowed", good(&key).in(t, TarGz), Limits{Size: 1 << 20}, []string{"0, the limit"}},
		{"more entries than stated", misstated(t, 5000, 8), Limits{Size: 1 << 30, Entries: 100, Ratio: 100}, []string{"list of its files"}},
		{"more entries stated than are there", misstated(t, 3, 60000), Limits{Size: 1 << 30, Entries: 100, Ratio: 100}, []string{"60000 files"}},
	}
	for _, r := range rows {
		t.Run(r.what, func(t *testing.T) {
			_, err := verify(t, r.archive, r.limits, trust)
			checkProblem(t, err, model.TooLarge, r.names...)
		})
	}
	for _, f := range formats {
		archive := many.in(t, f)
		if _, err := verify(t, archive, Limits{Size: int64(len(archive)), Entries: 38, Ratio: 100}, trust); err != nil {
			t.Errorf("a %s of exactly as many entries and bytes as allowed: %v", f, err)
		}
		_, err := verify(t, archive, Limits{Size: int64(len(archive)) - 1, Entries: 38, Ratio: 100}, trust)
		checkProblem(t, err, model.TooLarge, "the limit")
	}
}

// misstated is an archive of n files whose end states another number.
func misstated(t *testing.T, n int, stated uint16) []byte {
	t.Helper()
	width := min(200, 1<<20/n) // long names make a long directory
	var parts []part
	for i := range n {
		parts = append(parts, part{name: fmt.Sprintf("%0*d", width, i)})
	}
	archive := pack(t, parts)
	end := archive[len(archive)-endLength:]
	binary.LittleEndian.PutUint16(end[8:], stated)
	binary.LittleEndian.PutUint16(end[10:], stated)
	return archive
}

// archive/zip compares 16 bits of the number stated: 65536 more pass unseen.
func TestANumberOfEntriesThatIsRightIn16BitsOnlyIsCounted(t *testing.T) {
	archive := misstated(t, 65536+5, 5)
	at := bytes.LastIndex(archive, []byte(endMark64))
	binary.LittleEndian.PutUint64(archive[at+32:], 5)
	_, err := verify(t, archive, Limits{Size: 1 << 30, Entries: 65000, Ratio: 100}, Trust{})
	checkProblem(t, err, model.TooLarge, "65541 files")
}

func TestANumberOfEntriesIn64BitsIsReadBeforeRoomIsMadeForThem(t *testing.T) {
	archive := pack(t, []part{{name: "x"}})
	start := len(archive) - endLength
	end64 := make([]byte, 56)
	copy(end64, endMark64)
	binary.LittleEndian.PutUint64(end64[32:], 1<<26)
	locator := make([]byte, locatorLength)
	copy(locator, locatorMark)
	binary.LittleEndian.PutUint64(locator[8:], uint64(start))
	end := bytes.Clone(archive[start:])
	binary.LittleEndian.PutUint16(end[10:], math.MaxUint16)
	archive = append(append(append(archive[:start:start], end64...), locator...), end...)

	_, err := verify(t, archive, Limits{Size: 1 << 30, Entries: 1 << 17, Ratio: 100}, Trust{})
	checkProblem(t, err, model.TooLarge, "67108864 files")
}
