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
	return Capabilities{
		Permitted: before.Permitted &^ now.Permitted, Inheritable: before.Inheritable &^ now.Inheritable,
		Effective: before.Effective,
	}.String(), nil
}
