package audit_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mfa/internal/audit/audittest"
	"mfa/internal/mfa"
)

// names returns the values of the constants of this package: the events.
func names(t *testing.T) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "audit.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	ast.Inspect(f, func(n ast.Node) bool {
		if d, ok := n.(*ast.GenDecl); ok && d.Tok == token.CONST {
			for _, spec := range d.Specs {
				for _, v := range spec.(*ast.ValueSpec).Values {
					text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, text)
				}
			}
		}
		return true
	})
	return all
}

// The published schema and the lines written do not drift apart.
func TestSchemaKnowsEveryEventAndField(t *testing.T) {
	s, err := audittest.Load()
	if err != nil {
		t.Fatal(err)
	}
	events := names(t)
	slices.Sort(events)
	known := slices.Sorted(slices.Values(s.Properties["event"].Enum))
	if !slices.Equal(events, known) {
		t.Errorf("the code has the events\n%q\nthe schema\n%q", events, known)
	}
	for field := range reflect.TypeFor[mfa.Event]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if s.Properties[name].Description == "" {
			t.Errorf("the schema does not say what %q is", name)
		}
	}
	var outcomes []string
	for o := mfa.Broken; o == mfa.Broken || o.String() != mfa.Broken.String(); o++ {
		outcomes = append(outcomes, o.String())
	}
	slices.Sort(outcomes)
	if known := slices.Sorted(slices.Values(s.Properties["outcome"].Enum)); !slices.Equal(outcomes, known) {
		t.Errorf("the code has the outcomes\n%q\nthe schema\n%q", outcomes, known)
	}
	for _, c := range s.AllOf {
		if ev := c.If.Properties["event"].Const; !slices.Contains(events, ev) {
			t.Errorf("the schema asks more of %q, which is no event", ev)
		}
	}
}

// The checker can say no: else what it lets pass proves nothing.
func TestSchemaRefuses(t *testing.T) {
	s, err := audittest.Load()
	if err != nil {
		t.Fatal(err)
	}
	const good = `{"time":"2026-01-02T03:04:05.678Z","event":"login","user":"a","uid":7,"service":"sshd","address":"local","outcome":"exempt","reason":"x"}`
	if err := s.Check([]byte(good)); err != nil {
		t.Errorf("%s: %v", good, err)
	}
	for _, change := range [][2]string{
		{`"event":"login"`, `"event":"logout"`},
		{`"uid":7`, `"uid":7.5`},
		{`"uid":7`, `"uid":"7"`},
		{`"user":"a"`, `"user":1`},
		{`"user":"a"`, `"usr":"a"`},
		{`2026-01-02T`, `2026-01-02 `},
		{`"exempt"`, `"fine"`},
		{`,"reason":"x"`, ``},
		{`"time":"2026-01-02T03:04:05.678Z",`, ``},
		{`"reason":"x"`, `"reason":"x","key":"MD5:1"`},
		{`}`, ``},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good || s.Check([]byte(bad)) == nil {
			t.Errorf("taken: %s", bad)
		}
	}
}
