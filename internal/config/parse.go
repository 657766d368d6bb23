package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"mfa/internal/login"
	"mfa/internal/mfa"
)

// A problem is one thing that is wrong in mfa.toml.
type problem struct {
	line    int
	key     string // "" when the line is not even TOML
	what    string
	allowed string // "" when nothing is
}

// in returns the problem as an error of one line that names file.
func (p problem) in(file string) error {
	text := fmt.Sprintf("%s:%d: ", file, p.line)
	if p.key != "" {
		text += p.key + ": "
	}
	text += p.what
	if p.allowed != "" {
		text += "; allowed: " + p.allowed
	}
	return errors.New(printable(text))
}

// printable escapes control characters, as problems quote the file and each is one line
// on a terminal.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsControl(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Parse parses data as the content of an mfa.toml; name is for errors. It reads no file.
// Its error joins every problem that is found, one a line and sorted by line, each as
//
//	NAME:LINE: KEY: what is wrong; allowed: what is
//
// If data is not TOML (https://toml.io/en/v1.0.0), only the first problem is found.
func Parse(name string, data []byte) (Config, error) {
	c := Default()
	r := newReader(&c)
	if entries, bad := readDocument(data); bad != nil {
		r.problems = append(r.problems, *bad)
	} else {
		r.read(entries)
		r.preset()
		r.nist()
		r.compare()
	}
	if len(r.problems) > 0 {
		return Config{}, joined(name, r.problems)
	}
	return c, nil
}

func joined(file string, problems []problem) error {
	slices.SortFunc(problems, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.key, b.key), cmp.Compare(a.what, b.what))
	})
	var errs []error
	for _, p := range problems {
		errs = append(errs, p.in(file))
	}
	return errors.Join(errs...)
}

// A reader takes the entries of a document into a Config and collects what is
// wrong with them.
type reader struct {
	config   *Config
	keys     []string       // of this version, in the order of Config
	fields   map[string]any // pointers into config, by key
	lines    map[string]int // where the keys that the file sets stand
	refused  map[string]bool
	problems []problem
}

func newReader(c *Config) *reader {
	r := &reader{config: c, fields: map[string]any{}, lines: map[string]int{}, refused: map[string]bool{}}
	for _, s := range settings(c) {
		r.keys = append(r.keys, s.name)
		r.fields[s.name] = s.at
	}
	return r
}

func (r *reader) refuse(e entry, what, allowed string) {
	r.refused[e.key] = true
	r.problems = append(r.problems, problem{e.line, e.key, what, allowed})
}

func (r *reader) read(entries []entry) {
	for _, e := range entries {
		switch {
		case e.twice:
			r.refuse(e, "set twice", "once")
		case e.key == policyRule:
			r.readRules(e)
		case r.fields[e.key] != nil:
			r.take(e)
		case slices.Contains(tablesOf(r.keys), e.key):
			r.readTable(e)
		default:
			r.unknown(e)
		}
	}
}

func (r *reader) readTable(e entry) {
	if _, ok := e.value.(map[string]any); !ok {
		r.refuse(e, kind(e.value)+" in place of a table", fmt.Sprintf("[%s]", e.key))
		return
	}
	r.read(e.under)
}

// unknown refuses a key or a table that no version knows.
func (r *reader) unknown(e entry) {
	word, known := "key", r.keys
	if _, ok := e.value.(map[string]any); ok {
		word, known = "table", tablesOf(r.keys)
	}
	what := "unknown " + word
	if near := nearest(e.key, known); near != "" {
		r.refuse(e, fmt.Sprintf("%s, did you mean %q?", what, near), "")
		return
	}
	table, _ := split(e.key)
	here := inTable(table, slices.Concat(r.keys, tablesOf(r.keys)))
	if len(here) == 0 {
		here = inTable("", tablesOf(r.keys))
	}
	r.refuse(e, what, strings.Join(here, ", "))
}

// take puts e into its field, if it is of the field's type and meets its rule.
func (r *reader) take(e entry) {
	field, rule := r.fields[e.key], rules[e.key]
	r.lines[e.key] = e.line
	if what := assign(field, e.value); what != "" {
		r.refuse(e, what, rule.allowed)
	} else if what := rule.wrong(field); what != "" {
		r.refuse(e, what, rule.allowed)
	}
}

// compare makes the comparisons of keys that are right by themselves.
func (r *reader) compare() {
	for _, c := range slices.Concat(comparisons, directoryComparisons, fleetComparisons) {
		if slices.ContainsFunc(c.keys, func(k string) bool { return r.refused[k] }) {
			continue
		}
		if what := c.wrong(r.config); what != "" {
			r.problems = append(r.problems, problem{r.lineOf(c.keys), c.keys[0], what, c.allowed})
		}
	}
	r.compareSMS()
}

// lineOf returns the line of the first of keys that the file sets.
func (r *reader) lineOf(keys []string) int {
	for _, k := range keys {
		if line, ok := r.lines[k]; ok {
			return line
		}
	}
	return 1
}

// assign sets the field that at points to. It returns what is wrong, "" if
// nothing; not the value, which may be a secret in the wrong place.
func assign(at, value any) (wrong string) {
	switch at := at.(type) {
	case *string:
		return assignAs(at, value, "text in quotes")
	case *bool:
		return assignAs(at, value, "true or false")
	case *int:
		var n int64
		if wrong := assignAs(&n, value, "a whole number"); wrong != "" {
			return wrong
		}
		*at = int(n)
		if int64(*at) != n {
			return fmt.Sprintf("%d is out of range", n)
		}
		return ""
	case *mfa.Duration:
		var s string
		if wrong := assignAs(&s, value, "a duration in quotes"); wrong != "" {
			return wrong
		}
		if err := at.UnmarshalText([]byte(s)); err != nil {
			return err.Error()
		}
		return ""
	case *[]mfa.Method:
		return assignList(at, value, asMethod)
	case *[]string:
		return assignList(at, value, asText)
	case *[]netip.Prefix:
		return assignList(at, value, login.ParseNetwork)
	case *map[string]string:
		return assignMap(at, value)
	}
	panic(fmt.Sprintf("config: no way to set a %T", at)) // a field's type was added without its case
}

func assignAs[T any](at *T, value any, wanted string) (wrong string) {
	v, ok := value.(T)
	if !ok {
		return kind(value) + " in place of " + wanted
	}
	*at = v
	return ""
}

func assignMap(at *map[string]string, value any) (wrong string) {
	var table map[string]any
	if wrong := assignAs(&table, value, "a table"); wrong != "" {
		return wrong
	}
	texts := map[string]string{}
	for name, v := range table {
		var s string
		if wrong := assignAs(&s, v, "text in quotes"); wrong != "" {
			return wrong + " in the table"
		}
		texts[name] = s
	}
	*at = texts
	return ""
}

// kind names the type of a TOML value for people.
func kind(value any) string {
	switch value.(type) {
	case string:
		return "text"
	case int64:
		return "a whole number"
	case float64:
		return "a decimal number"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	case []map[string]any:
		return "a list of tables"
	case map[string]any:
		return "a table"
	default:
		return "a date or a time"
	}
}
