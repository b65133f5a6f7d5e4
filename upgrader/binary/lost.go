package binary

import (
	"errors"
	"os"
)

// LostCapabilities are those of the kept executable that the running one has not,
// as setcap reads them; "" is none. Without a kept executable nothing is known
// to be lost.
func (o *Own) LostCapabilities() (string, error) {
	before, err := ReadCapabilities(o.Previous())
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	now, err := runningCapabilities()
	if err != nil {
		return "", err
	}
	return before.without(now).String(), nil
}

// without is what c has and other has not. Where other only permits what c
// raises at exec, all of it is lost.
func (c Capabilities) without(other Capabilities) Capabilities {
	if c.Effective && !other.Effective {
		return c
	}
	c.Permitted &^= other.Permitted
	c.Inheritable &^= other.Inheritable
	return c
}
