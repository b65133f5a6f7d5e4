package upgrader

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/theseusd/theseus/model"
)

// runRequest is the body of a run. The fields that this version cannot do yet
// are known by name, so that asking for them is refused and not misread.
type runRequest struct {
	Deadline  *string  `json:"deadline"`
	Probation *string  `json:"probation"`
	Exclude   []string `json:"exclude"`
	OnFailure string   `json:"onFailure"`
	Mode      string   `json:"mode"`
	Hold      bool     `json:"hold"`
	Ignore    []string `json:"ignore"`
	Force     bool     `json:"force"`
}

// parseOptions reads the body of a run; an empty one asks for the defaults.
func parseOptions(body []byte) (model.Options, error) {
	o := model.Options{Deadline: DefaultDeadline, Probation: DefaultProbation}
	if len(bytes.TrimSpace(body)) == 0 {
		return o, nil
	}
	var r runRequest
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return o, model.Problemf(model.Malformed, "read the run options as JSON: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return o, model.Problemf(model.Malformed, "read the run options as JSON: more bytes after the object")
	}
	if err := r.unbuilt(); err != nil {
		return o, err
	}
	if err := duration("deadline", r.Deadline, time.Second, &o.Deadline); err != nil {
		return o, err
	}
	return o, duration("probation", r.Probation, 0, &o.Probation)
}

func duration(field string, text *string, least time.Duration, into *time.Duration) error {
	if text == nil {
		return nil
	}
	d, err := time.ParseDuration(*text)
	if err != nil {
		return model.Problemf(model.Malformed, "run option %s: %v; write it as 1h, 90s or 500ms", field, err)
	}
	if d < least || d > 7*24*time.Hour {
		return model.Problemf(model.Malformed, "run option %s: %s is not between %s and 168h", field, d, least)
	}
	*into = d
	return nil
}

// unbuilt names what was asked for and cannot be done yet.
func (r runRequest) unbuilt() error {
	var messages []string
	refuse := func(asked bool, option, instead string) {
		if asked {
			messages = append(messages, fmt.Sprintf("run option %s: not in this version; %s", option, instead))
		}
	}
	refuse(len(r.Exclude) > 0, "exclude", "start the member, or remove it with `theseus system ha remove`")
	refuse(r.OnFailure != "" && r.OnFailure != "halt", "onFailure: "+r.OnFailure, "a failed rollout halts (halt)")
	refuse(r.Mode != "" && r.Mode != "complete", "mode: "+r.Mode, "there are no migrations to run in the background (complete)")
	refuse(r.Hold, "hold", "completion follows verifying by itself")
	refuse(len(r.Ignore) > 0, "ignore", "every finding is hard")
	refuse(r.Force, "force", "build another archive")
	if len(messages) == 0 {
		return nil
	}
	return &model.Problem{Kind: model.Refused, Messages: messages}
}
