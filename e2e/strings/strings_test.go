package main

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// source says something in each way that the program knows, once by a constant.
const source = `package x

import ("errors"; "fmt"; "log/slog")

const name = "the log is closed"

type finding struct{ Why string }

func said(log *slog.Logger, key string) (any, error) {
	log.Warn("store not swept", "user", key, "error", errors.New(name))
	if key == "not for people" {
		return finding{Why: "Nobody is asked."}, fmt.Errorf("open %q: "+"%w", key, errors.New("gone"))
	}
	fmt.Println("No users.")
	return "Type the " + "code.", nil
}
`

// TestFind: each string is found, whole, with who reads it; a constant by its value, and
// what is only compared not at all.
func TestFind(t *testing.T) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "x.go", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	r := room{dir: "mfactl", fset: fset, files: []*ast.File{f}, info: &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{},
	}}
	conf := types.Config{Importer: importer.ForCompiler(fset, "source", nil)}
	if _, err := conf.Check("x", fset, r.files, r.info); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range r.strings(map[string]bool{"Type the code.": true}) {
		got = append(got, headings[s.to]+", "+s.kind+": "+s.text+beside(s.keys))
	}
	want := []string{
		"The log and the audit file, log: store not swept with user, error",
		"Administrators, error: the log is closed",
		"Administrators, why: Nobody is asked.",
		"Administrators, error: open %q: %w",
		"Administrators, error: gone",
		"Administrators, output: No users.",
		"People who log in, text: Type the code.",
	}
	if !slices.Equal(got, want) {
		t.Errorf("found %q", got)
	}
}

// TestFindInC: neighbours are one string, those of a condition are two, and what the
// preprocessor and comments say is none.
func TestFindInC(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.c")
	c := "#include \"a b.h\"\n/* \"no string\" */\nvoid f(void) { pam_syslog(p, LOG_ERR, \"one \"\n\"two\", x ? \"three four\" : \"five six\");\n" +
		"pam_prompt(p, \"Press Enter: \"); }\nstatic const char t[] = \"Try again later.\";\n"
	if err := os.WriteFile(path, []byte(c), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := cStrings(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range all {
		got = append(got, s.kind+": "+s.text)
	}
	if want := []string{"log: one two", "log: three four", "log: five six", "text: Press Enter: ", "text: Try again later."}; !slices.Equal(got, want) {
		t.Errorf("found %q", got)
	}
}

// TestRules: each rule finds what is against it, and nothing where all is well.
func TestRules(t *testing.T) {
	for _, s := range []said{
		{to: users, kind: "text", text: "Type the code."},
		{to: users, kind: "text", text: "Backup code: "},
		{to: users, kind: "text", text: "m shows the other methods."},
		{to: users, kind: "text", text: "Codes by email"},
		{to: logs, kind: "error", text: "open %q: %w"},
		{to: logs, kind: "error", text: "LDAP server "},
		{to: administrators, kind: "what", text: "is permissive"},
		{to: administrators, kind: "why", text: "Nobody is asked."},
		{to: administrators, kind: "hint", text: "Try it as root, for example with sudo."},
		{to: administrators, kind: "text", text: "is good until ", piece: true},
	} {
		if wrong := s.wrong(); len(wrong) > 0 {
			t.Errorf("%q: %q", s.text, wrong)
		}
	}
	for want, s := range map[string]said{
		"two blanks":                        {to: users, kind: "text", text: "Type  the code."},
		"a blank at the end of a line":      {to: users, kind: "text", text: "Type \nthe code."},
		"an exclamation mark":               {to: users, kind: "text", text: "That is right! You are in."},
		"a character that is not ASCII":     {to: administrators, kind: "help", text: "“quoted”"},
		"%s in quotes in place of %q":       {to: logs, kind: "error", text: `open "%s"`},
		"please":                            {to: users, kind: "text", text: "Please wait."},
		"cannot":                            {to: users, kind: "text", text: "That can't be."},
		"email":                             {to: users, kind: "text", text: "Type your e-mail address."},
		"user name, host name, backup code": {to: logs, kind: "error", text: "no username is given"},
		"second factor":                     {to: users, kind: "text", text: "Set up 2FA."},
		"log in, a login":                   {to: users, kind: "text", text: "You cannot login here."},
		"enroll":                            {to: users, kind: "text", text: "Enrol again."},
		"American spelling":                 {to: logs, kind: "error", text: "it is not synchronised"},
		"remembered login":                  {to: logs, kind: "log", text: "remembered sessions not shown"},
		"SMS in place of text message":      {to: users, kind: "text", text: "Codes by SMS arrive."},
		"a word of ours":                    {to: users, kind: "text", text: "The daemon restarts."},
		"a capital at the beginning":        {to: logs, kind: "error", text: "Open %q: %w"},
		"a full stop at the end":            {to: logs, kind: "log", text: "store not swept."},
		"no capital at the beginning":       {to: users, kind: "text", text: "type the code."},
		"no full stop at the end":           {to: administrators, kind: "why", text: "Nobody is asked"},
	} {
		if wrong := s.wrong(); !slices.Contains(wrong, want) {
			t.Errorf("%q breaks %q, not %q", s.text, wrong, want)
		}
	}
	tried := 20
	if n := len(rules) + 4; n != tried {
		t.Errorf("%d rules, %d are tried here", n, tried)
	}
}
