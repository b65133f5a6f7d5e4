package main

import (
	"errors"
	"os"
	"strings"
	"time"
)

// inZone gives every window in text that names no time zone that of this machine,
// which the members need not share.
func inZone(text string, zone func() (string, bool)) (string, error) {
	windows := strings.Split(text, ";")
	for i, w := range windows {
		words := strings.Fields(w)
		windows[i] = strings.Join(words, " ")
		if len(words) == 0 || !strings.Contains(words[len(words)-1], ":") {
			continue // it names one, or the server says what is wrong with it
		}
		name, known := zone()
		if !known {
			return "", errors.New("window: the time zone of this machine has no name that members would know: write one after the window, as in 22:00-04:00 Europe/Berlin, or UTC")
		}
		windows[i] = strings.Join(append(words, name), " ")
	}
	return strings.Join(windows, "; "), nil
}

// ownZone is the name of this machine's time zone in the IANA database, if it can
// be told: by TZ, or by where /etc/localtime leads.
func ownZone() (name string, known bool) {
	name = time.Local.String()
	if name == "Local" {
		target, err := os.Readlink("/etc/localtime")
		if err != nil {
			return "", false
		}
		_, name, _ = strings.Cut(target, "zoneinfo/")
	}
	_, err := time.LoadLocation(name)
	return name, err == nil && name != "" && name != "Local"
}
