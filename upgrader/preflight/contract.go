package preflight

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/model"
)

// Companions finds the systems that run beside the cluster in versions that a
// package does not go with. Which those are, params say.
func Companions(rules map[string]string, params map[string]any) (found []model.Finding) {
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		if what, has := companion(rules[name], params[name]); what != "" {
			found = append(found, model.Finding{Name: Companion, Severity: model.Soft, What: name + " " + what, Measured: has, Limit: rules[name],
				Remedy: fmt.Sprintf("bring %s to a version that fits, and say so with `theseus profiles set %s param %s to 3.5.0`, with its own version",
					name, model.CompanionsProfile, name)})
		}
	}
	return found
}

// companion says what is wrong with one of them, if anything.
func companion(rule string, value any) (what, has string) {
	fits, err := semver.NewConstraint(rule)
	if err != nil {
		return fmt.Sprintf("must be %q, which the package does not write as it should: %v", rule, err), ""
	}
	if value == nil {
		return "runs beside the cluster in a version that nobody has said", "not set"
	}
	has = text(value)
	if _, isText := value.(string); !isText {
		return "has a version that is no text: write all three parts of it", has // 3.10 as a number is 3.1
	}
	v, err := semver.NewVersion(has)
	if err != nil {
		return fmt.Sprintf("has a version that cannot be read: %v", err), has
	}
	if !fits.Check(v) {
		return "runs beside the cluster in a version that does not fit", has
	}
	return "", ""
}

// Settings finds the settings that are not as a package asks for.
func Settings(rules map[string]string, params map[string]any) (found []model.Finding) {
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		want, has, what := rules[name], "not set", "the setting "+name+" is not set"
		if value := params[name]; value != nil {
			has, what = text(value), "the setting "+name+" has another value"
		}
		if has != want {
			found = append(found, model.Finding{Name: Setting, Severity: model.Soft, What: what, Measured: has, Limit: want,
				Remedy: fmt.Sprintf("set it, and say so with `theseus profiles set %s param %s to %s`", model.SettingsProfile, name, want)})
		}
	}
	return found
}

// text is a param as people write it.
func text(value any) string {
	if s, is := value.(string); is {
		return s
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(raw)
}

// BackupDue finds that the last backup, if there was one, is older than most. With
// most at 0 any will do.
func BackupDue(most time.Duration, last time.Time, some bool, now time.Time) []model.Finding {
	f := model.Finding{Name: Backup, Severity: model.Soft, What: "the last backup is too old", Limit: most.String(),
		Remedy: "make one with `theseus backup create`"}
	if most == 0 { // the package does not ask for one: it is good to have all the same
		f.Severity, f.Limit = model.Advice, "one"
	}
	if !some {
		f.What, f.Measured = "there is no backup", "none"
		return []model.Finding{f}
	}
	age := now.Sub(last)
	if most == 0 || age <= most {
		return nil
	}
	f.Measured = age.Round(time.Minute).String() + " old"
	return []model.Finding{f}
}
