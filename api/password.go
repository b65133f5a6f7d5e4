package api

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// cost is what a password hash takes: OWASP's first choice for argon2id.
type cost struct {
	memory uint32 // KiB
	time   uint32
	lanes  uint8
}

const (
	hashMemory = 19 * 1024 // KiB
	hashTime   = 2
	hashLanes  = 1
	saltSize   = 16
	hashSize   = 32

	// maxMemory and maxTime bound what a stored hash may ask for.
	maxMemory = 256 * 1024
	maxTime   = 16
)

// HashPassword makes the argon2id hash of a password in PHC form, as the record
// of a user keeps it. It takes some ten milliseconds and 19 MiB.
func HashPassword(password string) string {
	salt := make([]byte, saltSize)
	rand.Read(salt) // never fails, says crypto/rand
	c := cost{memory: hashMemory, time: hashTime, lanes: hashLanes}
	return c.format(salt, c.hash(password, salt, hashSize))
}

func (c cost) hash(password string, salt []byte, size int) []byte {
	return argon2.IDKey([]byte(password), salt, c.time, c.memory, c.lanes, uint32(size))
}

func (c cost) format(salt, hash []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.memory, c.time, c.lanes, b64(salt), b64(hash))
}

// nobody is the hash that stands in for the one of a user who is not there, so
// that a login takes as long either way. No password fits it.
func nobody() string {
	c := cost{memory: hashMemory, time: hashTime, lanes: hashLanes}
	return c.format(make([]byte, saltSize), make([]byte, hashSize))
}

// passwordFits says whether password is the one behind a hash in PHC form.
func passwordFits(phc, password string) (bool, error) {
	c, salt, want, err := parsePHC(phc)
	if err != nil {
		return false, err
	}
	got := c.hash(password, salt, len(want))
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

func parsePHC(phc string) (c cost, salt, hash []byte, err error) {
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, fmt.Errorf("read a password hash: it is not argon2id, version %d, in PHC form", argon2.Version)
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.memory, &c.time, &c.lanes); err != nil {
		return c, nil, nil, fmt.Errorf("read a password hash: its costs: %w", err)
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	hash, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(hash) < 16 || c.lanes == 0 || c.time == 0 || c.time > maxTime || c.memory > maxMemory {
		return c, nil, nil, fmt.Errorf("read a password hash: its salt, hash or costs are out of range")
	}
	return c, salt, hash, nil
}
