package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// format is how data is written: json, yaml or table.
func (a *app) format(c *cobra.Command) (string, error) {
	switch a.flags.output {
	case "json", "yaml", "table":
		return a.flags.output, nil
	case "":
		if a.outTerminal {
			return "table", nil
		}
		return "json", nil
	}
	return "", usage(c, fmt.Errorf("output %q: want json, yaml or table", a.flags.output))
}

// table writes rows of columns; a tab is between two columns.
type table func(w io.Writer, raw json.RawMessage) error

// show writes raw to stdout in the format asked for.
func (a *app) show(c *cobra.Command, raw json.RawMessage, t table) error {
	format, err := a.format(c)
	if err != nil {
		return err
	}
	switch format {
	case "table":
		w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
		return errors.Join(t(w, raw), w.Flush())
	case "yaml":
		return writeYAML(a.stdout, raw)
	}
	return writeJSON(a.stdout, raw)
}

func writeJSON(w io.Writer, raw json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(raw), "", "  "); err != nil {
		return fmt.Errorf("write as json: %w", err)
	}
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}

// writeYAML goes by JSON, so that the names are those of the API.
func writeYAML(w io.Writer, raw json.RawMessage) error {
	v, err := decode[any](raw)
	if err != nil {
		return err
	}
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(numbers(v)); err != nil {
		return fmt.Errorf("write as yaml: %w", err)
	}
	return e.Close()
}

// numbers turns every json.Number into a number: YAML would quote it.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}

func decode[V any](raw json.RawMessage) (v V, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return v, fmt.Errorf("read the answer: %w", err)
	}
	return v, nil
}

// fields is the table of one object: a line per field, in the order of names.
func fields(w io.Writer, raw json.RawMessage) error {
	object, err := decode[map[string]json.RawMessage](raw)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		row(w, name, cell(object[name]))
	}
	return nil
}

// value is the table of one value alone.
func value(w io.Writer, raw json.RawMessage) error {
	row(w, cell(raw))
	return nil
}

// cell is a JSON value on one line: text bare, all else as JSON.
func cell(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return string(raw)
	}
	return b.String()
}

// row writes one line of a table.
func row(w io.Writer, cells ...string) {
	for i := range cells {
		cells[i] = strings.ReplaceAll(printable(cells[i]), "\t", " ")
	}
	fmt.Fprintln(w, strings.Join(cells, "\t"))
}
