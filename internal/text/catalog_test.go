package text

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// TestCatalogs holds every language to the sentences that the rooms say: none without an
// entry, no entry without a sentence, and each with the verbs and the end of the English one.
func TestCatalogs(t *testing.T) {
	said := sentences(t)
	if len(said) < 150 {
		t.Fatalf("only %d sentences were found: are the rooms where the test looks?", len(said))
	}
	for _, tag := range Languages() {
		entries, err := read(tag)
		if err != nil {
			t.Fatal(err)
		}
		for _, wrong := range wrongWith(entries, said) {
			t.Errorf("%s.toml: %s", tag, wrong)
		}
		if p := In(tag); p == nil || len(p.knows) != len(entries) {
			t.Errorf("%s.toml: the catalog does not take all of it", tag)
		}
	}
}

// wrongWith says what is wrong with a language.
func wrongWith(entries map[string]entry, said map[string]bool) (wrong []string) {
	for _, english := range slices.Sorted(maps.Keys(said)) {
		if _, ok := entries[english]; !ok && hasLetters(english) {
			wrong = append(wrong, fmt.Sprintf("%q has no entry", english))
		}
	}
	for english, e := range entries {
		if !said[english] {
			wrong = append(wrong, fmt.Sprintf("nobody says %q", english))
		}
		if e["other"] == "" {
			wrong = append(wrong, fmt.Sprintf("%q is nothing", english))
		}
		for form, in := range e {
			if !slices.Contains(forms, form) {
				wrong = append(wrong, fmt.Sprintf("%q: there is no plural form %q", english, form))
			}
			if want, got := verbs(english), verbs(in); !maps.Equal(want, got) && (form == "other" || !within(got, want)) {
				wrong = append(wrong, fmt.Sprintf("%q has the places %v in place of %v", in, got, want))
			}
			if end := endOf(english); !strings.HasSuffix("\n"+in, "\n"+end) && end != "" {
				wrong = append(wrong, fmt.Sprintf("%q does not end with %q, which programs wait for", in, end))
			}
			if strings.HasSuffix(english, "\n") != strings.HasSuffix(in, "\n") || strings.ContainsFunc(in, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }) {
				wrong = append(wrong, fmt.Sprintf("%q ends or has control characters that the English one has not", in))
			}
		}
	}
	return wrong
}

// A catalog that lacks a sentence, has one too many, or differs in a place or in an end that
// programs wait for, is refused.
func TestCatalogsAreHeld(t *testing.T) {
	said := map[string]bool{"You have %s, %d times.": true, "Code (r = resend): ": true, "%s %s": true}
	good := func() map[string]entry {
		return map[string]entry{
			"You have %s, %d times.": {"one": "Einmal %s.", "other": "%[2]d-mal %[1]s."},
			"Code (r = resend): ":    {"other": "r: neu\nCode (r = resend): "},
		}
	}
	if wrong := wrongWith(good(), said); len(wrong) > 0 {
		t.Fatal(wrong)
	}
	for want, spoil := range map[string]func(map[string]entry){
		"has no entry":                 func(e map[string]entry) { delete(e, "Code (r = resend): ") },
		"nobody says":                  func(e map[string]entry) { e["More."] = entry{"other": "Mehr."} },
		"has the places":               func(e map[string]entry) { e["You have %s, %d times."]["other"] = "%d-mal %s." },
		"in place of":                  func(e map[string]entry) { e["You have %s, %d times."]["other"] = "Einmal." },
		"map[1:s 3:s] in place of":     func(e map[string]entry) { e["You have %s, %d times."]["one"] = "%s %[3]s" },
		"which programs wait for":      func(e map[string]entry) { e["Code (r = resend): "]["other"] = "Code (r = neu): " },
		"no plural form":               func(e map[string]entry) { e["You have %s, %d times."]["several"] = "%s %d" },
		"is nothing":                   func(e map[string]entry) { e["Code (r = resend): "] = entry{"other": ""} },
		"has control characters that ": func(e map[string]entry) { e["You have %s, %d times."]["one"] = "%s\x1b" },
	} {
		e := good()
		spoil(e)
		if wrong := strings.Join(wrongWith(e, said), "\n"); !strings.Contains(wrong, want) {
			t.Errorf("%q, want %q", wrong, want)
		}
	}
}

// endOf is what programs wait for: the last line of a prompt, if it asks.
func endOf(english string) string {
	if !strings.HasSuffix(english, ": ") {
		return ""
	}
	return english[strings.LastIndex(english, "\n")+1:]
}

var verb = regexp.MustCompile(`%(?:\[(\d+)\])?([a-z%])|\{\{\.(\w+)\}\}`)

// verbs returns the places of a sentence, by their number or name.
func verbs(s string) map[string]string {
	places, next := map[string]string{}, 1
	for _, m := range verb.FindAllStringSubmatch(s, -1) {
		switch {
		case m[3] != "":
			places[m[3]] = "field"
			continue
		case m[1] != "":
			next, _ = strconv.Atoi(m[1])
		}
		places[strconv.Itoa(next)] = m[2]
		next++
	}
	return places
}

// within says whether all places of a are in b.
func within(a, b map[string]string) bool {
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

func hasLetters(english string) bool {
	return strings.ContainsFunc(verb.ReplaceAllString(english, ""), unicode.IsLetter)
}

// rooms are those that say something to people.
var rooms = []string{"text", "account", "challenge", "deliver", "enroll", "login", "mfa", "server"}

// named are constants that hold what is said to people; asIs those of them that stay
// in English.
var (
	named = regexp.MustCompile(`^(text|Text|advice|subject|then|end|End|sms)[A-Z]|^defaultSMS$`)
	asIs  = []string{"endRemember", "adviceName"}
)

// sayings are what says its args, with the number of the one that is the sentence.
var sayings = map[string]int{"Words": 0, "Say": 0, "Of": 0, "invalidf": 0, "refuse": 0, "Counted": 2, "Count": 2}

// tables are the types and variables whose strings are all sentences, and the field that is none.
var (
	tables  = []string{"wording", "place", "going"}
	forLogs = "thing"
)

// sentences returns what the rooms say to people, in English. It fails the test where a
// person is told a string that goes through no catalog.
func sentences(t *testing.T) map[string]bool {
	found := map[string]bool{}
	for _, room := range rooms {
		err := filepath.WalkDir(filepath.Join("..", room), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			read := &reading{t: t, found: found, consts: map[string]ast.Expr{}}
			files, err := filepath.Glob(filepath.Join(path, "*.go"))
			for _, name := range files {
				if strings.HasSuffix(name, "_test.go") {
					continue
				}
				f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
				if err != nil {
					return err
				}
				read.files = append(read.files, f)
			}
			read.all()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// A reading collects the sentences of one room.
type reading struct {
	t      *testing.T
	files  []*ast.File
	consts map[string]ast.Expr
	found  map[string]bool
}

func (r *reading) all() {
	for _, f := range r.files {
		ast.Inspect(f, r.constants)
	}
	for _, f := range r.files {
		ast.Inspect(f, r.said)
	}
}

// constants notes constants, and collects those that are sentences.
func (r *reading) constants(n ast.Node) bool {
	spec, ok := n.(*ast.ValueSpec)
	if !ok {
		return true
	}
	for i, name := range spec.Names {
		if i < len(spec.Values) {
			r.consts[name.Name] = spec.Values[i]
			if named.MatchString(name.Name) && !slices.Contains(asIs, name.Name) {
				r.collect(spec.Values[i])
			}
		}
	}
	return true
}

// said collects what is said, and fails the test for a string that is said as it is.
func (r *reading) said(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CompositeLit:
		r.table(n)
	case *ast.CallExpr:
		name := nameOf(n.Fun)
		if name == "Say" && len(n.Args) == 3 && nameOf(n.Args[0]) == "ctx" || slices.Contains([]string{"Entry", "Line", "Choose", "ChooseOrKey"}, name) {
			for _, arg := range n.Args {
				r.bare(arg)
			}
			return true
		}
		if at, ok := sayings[name]; ok && at < len(n.Args) {
			r.collect(n.Args[at])
		}
	}
	return true
}

// table collects the strings of a composite literal that is a table of sentences.
func (r *reading) table(lit *ast.CompositeLit) {
	ended := nameOf(lit.Type) == "Ended"
	if ast.IsExported(nameOf(lit.Type)) && !ended || lit.Type != nil && !ended && !slices.Contains(tables, nameOf(lit.Type)) {
		return
	}
	for _, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok && nameOf(kv.Key) != forLogs && (lit.Type != nil || isOf(kv.Key, "own", "entered")) && (!ended || nameOf(kv.Key) == "Text") {
			r.collect(kv.Value)
		}
	}
}

func isOf(key ast.Expr, names ...string) bool { return slices.Contains(names, nameOf(key)) }

// bare fails the test if an expression has a string that is not within a call.
func (r *reading) bare(e ast.Expr) {
	ast.Inspect(e, func(n ast.Node) bool {
		if _, call := n.(*ast.CallExpr); call {
			return false
		}
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && strings.ContainsFunc(lit.Value, unicode.IsLetter) && lit.Value != `"\n"` {
			r.t.Errorf("%s is told to people and goes through no catalog", lit.Value)
		}
		return true
	})
}

// collect adds an expression that is a constant string.
func (r *reading) collect(e ast.Expr) {
	if s, ok := r.value(e); ok && s != "" {
		r.found[s] = true
	}
}

// value returns the value of a constant string.
func (r *reading) value(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil && e.Kind == token.STRING
	case *ast.Ident:
		c, ok := r.consts[e.Name]
		if !ok || c == ast.Expr(e) {
			return "", false
		}
		return r.value(c)
	case *ast.BinaryExpr:
		x, okX := r.value(e.X)
		y, okY := r.value(e.Y)
		return x + y, okX && okY
	}
	return "", false
}

// nameOf returns the last name of an expression.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}
