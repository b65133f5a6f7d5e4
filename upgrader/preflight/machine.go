package preflight

import "github.com/theseusd/theseus/model"

// Machine is what one member runs on.
type Machine struct {
	Data string // its data directory
	Proc string // where proc and sys are mounted
	Sys  string
}

// Here is the machine of this process.
func Here(data string) Machine { return Machine{Data: data, Proc: "/proc", Sys: "/sys"} }

// Needs are what an upgrade takes on a machine; 0 is nothing.
type Needs struct {
	Room   uint64 // bytes free in the file system of the data directory
	Memory uint64 // bytes in all
}

// Look finds what stands in the way on this machine. It may be called at any time.
func (m Machine) Look(n Needs) []model.Finding {
	found := m.room(n.Room)
	found = append(found, m.writing()...)
	found = append(found, m.errors()...)
	found = append(found, m.memory(n.Memory)...)
	return append(found, clockSync()...)
}
