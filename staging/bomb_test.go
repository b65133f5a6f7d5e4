//go:build !race

package staging

import (
	"bytes"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
)

func TestABombIsNotReadToItsEnd(t *testing.T) {
	d := good(nil)
	d.parts = append([]part{{name: "zeros", body: strings.Repeat("\x00", 256<<20)}}, d.parts...)
	archive := d.in(t, TarGz)
	m := &meter{r: bytes.NewReader(archive)}
	_, err := Open(m, int64(len(archive)), DefaultLimits())
	checkProblem(t, err, model.TooLarge, "100 times")
	if m.read > int64(len(archive))/2 {
		t.Errorf("read %d of %d bytes", m.read, len(archive))
	}
}
