// Package audittest holds the audit files that tests make against the schema
// that is promised to programs outside.
//
// What to know before trusting it: it reads as much of JSON Schema as
// packaging/audit-schema.json uses, and is stricter in one thing: a field that
// the schema does not name is wrong.
package audittest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A Schema is packaging/audit-schema.json.
type Schema struct {
	Required   []string
	Properties map[string]Property
	AllOf      []Condition
}

// A Property is what the schema says of one field.
type Property struct {
	Type        string
	Format      string
	Pattern     string
	Enum        []string
	Description string
}

// A Condition asks for more fields in events of one name.
type Condition struct {
	If struct {
		Properties map[string]struct{ Const string }
	}
	Then struct{ Required []string }
}

// Load reads the schema from the module that the test stands in.
func Load() (Schema, error) {
	var s Schema
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	data, err := os.ReadFile(filepath.Join(dir, "packaging", "audit-schema.json"))
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	return s, err
}

// Check fails the test for each line of the file that does not meet the schema.
// A file that is not there is no error: nothing happened.
func Check(t testing.TB, path string) {
	t.Helper()
	s, err := Load()
	if err != nil {
		t.Errorf("read the audit schema: %v", err)
		return
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read the audit file: %v", err)
	}
	for line := range strings.Lines(string(data)) {
		if err := s.Check([]byte(line)); err != nil {
			t.Errorf("audit line %s: %v", line, err)
		}
	}
}

// Check says what is wrong with one line, nil if nothing is.
func (s Schema) Check(line []byte) error {
	var ev map[string]any
	if err := json.Unmarshal(line, &ev); err != nil {
		return err
	}
	required := s.Required
	for _, c := range s.AllOf {
		if c.holds(ev) {
			required = slices.Concat(required, c.Then.Required)
		}
	}
	for _, name := range required {
		if _, ok := ev[name]; !ok {
			return fmt.Errorf("no %q", name)
		}
	}
	for name, value := range ev {
		p, ok := s.Properties[name]
		if !ok {
			return fmt.Errorf("%q is no field of the schema", name)
		}
		if err := p.check(value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (c Condition) holds(ev map[string]any) bool {
	for name, want := range c.If.Properties {
		if ev[name] != want.Const {
			return false
		}
	}
	return true
}

func (p Property) check(value any) error {
	if n, ok := value.(float64); ok && p.Type == "integer" && n == float64(int64(n)) {
		return nil
	}
	if _, ok := value.(bool); ok && p.Type == "boolean" {
		return nil
	}
	text, ok := value.(string)
	if !ok || p.Type != "string" {
		return fmt.Errorf("%v is no %s", value, p.Type)
	}
	if p.Enum != nil && !slices.Contains(p.Enum, text) {
		return fmt.Errorf("%q is not in the schema", text)
	}
	if p.Format == "date-time" {
		_, err := time.Parse(time.RFC3339, text)
		return err
	}
	matches, err := regexp.MatchString(p.Pattern, text)
	if err == nil && !matches {
		err = fmt.Errorf("%q does not match %q", text, p.Pattern)
	}
	return err
}
