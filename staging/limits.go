package staging

import "github.com/theseusd/theseus/model"

// Limits bound what reading a package may cost, before anything in it is
// believed. Zero allows nothing.
type Limits struct {
	Size    int64 // bytes of the archive
	Entries int   // files and directories in it
	Ratio   int64 // unpacked bytes for each packed one
}

// DefaultLimits are the limits unless configured: 2 GiB, 10,000 entries, ratio 100.
func DefaultLimits() Limits {
	return Limits{Size: 2 << 30, Entries: 10_000, Ratio: 100}
}

const (
	// ratioFloor is the unpacked size from which the ratio of a single file is
	// judged: a short file of zeros is no bomb.
	ratioFloor = 1 << 20

	// directoryShare bounds the bytes of the zip directory for each entry allowed:
	// 46 and the name, with room for times and owners. directoryRoom is what
	// finding the directory takes besides. What is over is not parsed.
	directoryShare = 256
	directoryRoom  = 512 << 10

	manifestLimit  = 1 << 20
	sumsLimit      = 4 << 20
	signatureLimit = 16 << 10
)

// limitOf is the size up to which a file is read into memory, 0 if it never is.
func limitOf(name string) int64 {
	switch name {
	case manifestName:
		return manifestLimit
	case sumsName:
		return sumsLimit
	case signatureName:
		return signatureLimit
	}
	return 0
}

// fits holds a file that is read into memory to its limit.
func fits(name string, size int64) error {
	if limit := limitOf(name); size > limit {
		return tooLarge("%s is %d bytes long, more than %d, the limit", name, size, limit)
	}
	return nil
}

// check judges sizes as the zip directory states them. They are not believed:
// reading stops with a refusal where a file turns out to be larger.
func (l Limits) check(entries []entry, archive int64) error {
	var packed, unpacked int64
	ratio := max(l.Ratio, 1)
	for _, e := range entries {
		packed, unpacked = add(packed, e.packed), add(unpacked, e.size)
		if e.size > ratioFloor && e.size/ratio > e.packed {
			return tooLarge("%s unpacks to %d bytes from %d, more than %d times as many: build the package with `theseus package build`", e.name, e.size, e.packed, ratio)
		}
	}
	if packed > archive {
		return refused("its files state %d packed bytes, more than the %d of the archive: they overlap; build the package with `theseus package build`", packed, archive)
	}
	if unpacked > ratioFloor && unpacked/ratio > archive {
		return tooLarge("it unpacks to %d bytes from %d, more than %d times as many: build the package with `theseus package build`", unpacked, archive, ratio)
	}
	return nil
}

// add is a sum of two sizes that stops at the largest.
func add(a, b int64) int64 {
	if sum := a + b; sum >= 0 {
		return sum
	}
	return 1<<63 - 1
}

func malformed(format string, args ...any) *model.Problem {
	return model.Problemf(model.Malformed, "read the package: "+format, args...)
}

func tooLarge(format string, args ...any) *model.Problem {
	return model.Problemf(model.TooLarge, "read the package: "+format, args...)
}

func refused(format string, args ...any) *model.Problem {
	return model.Problemf(model.Refused, "read the package: "+format, args...)
}
