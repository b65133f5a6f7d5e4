package preflight

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/theseusd/theseus/model"
)

// memory holds what the kernel says of the machine against what is needed. The
// kernel has taken its own part before it counts.
func (m Machine) memory(need uint64) []model.Finding {
	if need == 0 {
		return nil
	}
	total, err := m.total()
	if err != nil {
		return []model.Finding{{Name: Memory, Severity: model.Hard, What: fmt.Sprintf("the memory cannot be measured: %v", err),
			Limit: mib(need), Remedy: "mount proc"}}
	}
	if total >= need {
		return nil
	}
	return []model.Finding{{Name: Memory, Severity: model.Hard, What: "the machine has too little memory", Measured: mib(total), Limit: mib(need),
		Remedy: "give the machine more memory"}}
}

func (m Machine) total() (uint64, error) {
	path := filepath.Join(m.Proc, "meminfo")
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		var kib uint64
		if n, _ := fmt.Sscanf(line, "MemTotal: %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("read %s: no MemTotal", path)
}
