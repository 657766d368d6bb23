package main

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// An audience is who reads a string.
type audience int

const (
	users audience = iota // people who log in
	administrators
	logs
)

// A said is one string.
type said struct {
	to   audience
	kind string // what it is: error, log, help …
	path string // of its file, from the root of the tree
	text string
	keys []string // of the values beside a log message

	piece bool // the rest of the sentence stands beside it
}

// strings returns the strings of a room, each once a file. Those of people are what users
// read.
func (r room) strings(people map[string]bool) []said {
	var all []said
	for _, f := range r.files {
		path := r.dir + "/" + filepath.Base(r.fset.Position(f.Pos()).Filename)
		seen := map[string]bool{}
		add := func(s said) {
			if s.path = path; !seen[s.kind+s.text] {
				seen[s.kind+s.text] = true
				all = append(all, s)
			}
		}
		var stack []ast.Node
		ast.Inspect(f, func(n ast.Node) bool {
			if n == nil {
				stack = stack[:len(stack)-1]
				return false
			}
			stack = append(stack, n)
			text, is := r.text(n)
			if !is {
				return true
			}
			kind := r.kind(stack)
			piece := r.isPiece(stack[len(stack)-2])
			switch {
			case kind == "":
			case people[text] || kind == "singular" || text == remember:
				add(said{to: users, kind: "text", text: text})
			case !letters(text) || kind == "text" && !words.MatchString(text):
			case kind == "log":
				add(said{to: logs, kind: kind, text: text, keys: r.keys(stack), piece: piece})
			default:
				add(said{to: r.audience(kind), kind: kind, text: text, piece: piece})
			}
			stack = stack[:len(stack)-1]
			return false // its pieces are in it
		})
	}
	return all
}

// isPiece says whether what is directly in n is put together with more: added, or what
// stands between others.
func (r room) isPiece(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		return true
	case *ast.CallExpr:
		pkg, name := r.callee(n)
		return pkg == "strings" && name == "Join"
	}
	return false
}

// words: a string with two words is for people.
var words = regexp.MustCompile(`[A-Za-z)%"']{2,}[,.:;]? [A-Za-z%]`)

// remember is in no catalog: its end is what programs wait for.
const remember = "Remember this login for %s? [y/N]: "

func letters(s string) bool { return strings.ContainsFunc(s, unicode.IsLetter) }

// text returns the value of an expression that is a constant string.
func (r room) text(n ast.Node) (string, bool) {
	e, is := n.(ast.Expr)
	if !is {
		return "", false
	}
	v := r.info.Types[e].Value
	if v == nil || v.Kind() != constant.String {
		return "", false
	}
	return constant.StringVal(v), true
}

// audience is who reads a kind of string that a room says.
func (r room) audience(kind string) audience {
	for _, room := range []string{"mfactl", "mfad", "internal/host", "internal/config", "internal/server", "internal/metrics"} {
		if kind != "reason" && (r.dir == room || strings.HasPrefix(r.dir, room+"/")) {
			return administrators
		}
	}
	return logs
}

// fields are those of structs whose strings are of a kind.
var fields = map[string]string{
	"Use": "help", "Short": "help", "Long": "help", "Example": "help", "hint": "hint",
	"What": "what", "Why": "why", "Mend": "mend",
	"Reason": "reason", "Help": "metric",
}

// kind says what is done with the string at the end of stack, which has the nodes around it;
// "" if nobody reads it.
func (r room) kind(stack []ast.Node) string {
	for i := len(stack) - 2; i >= 0; i-- {
		if kind, known := r.around(stack[i], stack[i+1]); known {
			return kind
		}
	}
	return "text"
}

// around says what node does with the string within inner, a part of it; known is false if
// what is around the node decides.
func (r room) around(node, inner ast.Node) (kind string, known bool) {
	switch n := node.(type) {
	case *ast.ImportSpec, *ast.CaseClause, *ast.IndexExpr, *ast.Field:
		return "", true
	case *ast.GenDecl:
		if n.Tok == token.CONST {
			return "", true // it is listed where it is used
		}
		return "text", true
	case *ast.BinaryExpr:
		return "", n.Op != token.ADD
	case *ast.KeyValueExpr:
		if name, is := n.Key.(*ast.Ident); is && inner == n.Value && fields[name.Name] != "" {
			return fields[name.Name], true
		}
	case *ast.CompositeLit:
		of, is := r.info.TypeOf(n).(*types.Array)
		return "heading", is && r.dir == "mfactl" && of.Len() == 2 && n.Elts[0] == inner
	case *ast.CallExpr:
		at := slices.IndexFunc(n.Args, func(e ast.Expr) bool { return e == inner })
		return r.argument(n, at)
	case ast.Stmt, *ast.FuncDecl:
		return "text", true
	}
	return "", false
}

// A sink is a function that people read: the number of its argument that is the text, and
// what that is. What comes before is not read; what comes behind is put into it.
type sink struct {
	at   int
	kind string
}

// sinks are those functions, by package and name.
var sinks = map[string]sink{
	"errors.New": {0, "error"}, "fmt.Errorf": {0, "error"},
	"fmt.Print": {0, "output"}, "fmt.Println": {0, "output"}, "fmt.Printf": {0, "output"}, "fmt.Sprintf": {0, ""},
	"fmt.Fprint": {1, "output"}, "fmt.Fprintln": {1, "output"}, "fmt.Fprintf": {1, "output"},
	"mfa/mfactl.printf": {1, "output"}, "mfa/mfactl.printLines": {1, "output"}, "mfa/mfactl.newGrid": {0, "heading"},
	"log/slog.Debug": {0, "log"}, "log/slog.Info": {0, "log"}, "log/slog.Warn": {0, "log"}, "log/slog.Error": {0, "log"},
	"log/slog.DebugContext": {1, "log"}, "log/slog.InfoContext": {1, "log"}, "log/slog.WarnContext": {1, "log"}, "log/slog.ErrorContext": {1, "log"},
	"log/slog.Log": {2, "log"}, "log/slog.LogAttrs": {2, "log"},
	"mfa/internal/text.Count": {1, "singular"}, "mfa/internal/text.Counted": {1, "singular"},
}

// quiet are packages whose functions show nobody their arguments.
var quiet = []string{"regexp", "os", "os/exec", "path/filepath", "strings", "bytes", "slices"}

// argument says what a call does with its argument of that number; known is false if what is
// around the call decides.
func (r room) argument(call *ast.CallExpr, at int) (kind string, known bool) {
	pkg, name := r.callee(call)
	to, isSink := sinks[pkg+"."+name]
	switch {
	case at < 0:
		return "", false
	case isSink && at < to.at:
		return "", true
	case isSink && at > to.at:
		return r.behind(pkg, name, at-to.at)
	case isSink:
		return to.kind, to.kind != ""
	case pkg == "github.com/spf13/pflag" || pkg == "flag":
		if at == len(call.Args)-1 && !strings.HasPrefix(name, "Mark") && name != "Lookup" {
			return "flag", true
		}
		return "", true
	case slices.Contains(quiet, pkg) && name != "Join" && name != "ReplaceAll":
		return "", true
	}
	return "", false
}

// behind says what a function that people read does with what comes n arguments behind its
// text: log/slog takes a key for each value there, which stands beside the text.
func (r room) behind(pkg, name string, n int) (kind string, known bool) {
	switch {
	case pkg == "log/slog":
		return "", n%2 == 1
	case name == "newGrid":
		return "heading", true
	case pkg == "mfa/internal/text":
		return "singular", true
	}
	return "text", true
}

// callee returns the package and the name of the function or method that is called.
func (r room) callee(call *ast.CallExpr) (pkg, name string) {
	var id *ast.Ident
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		id = fun
	case *ast.SelectorExpr:
		id = fun.Sel
	default:
		return "", ""
	}
	if o := r.info.Uses[id]; o != nil && o.Pkg() != nil {
		pkg = o.Pkg().Path()
	}
	return pkg, id.Name
}

// keys returns the names of the values beside the log message at the end of stack.
func (r room) keys(stack []ast.Node) (keys []string) {
	for i := len(stack) - 2; i >= 0; i-- {
		call, is := stack[i].(*ast.CallExpr)
		if !is {
			continue
		}
		if pkg, name := r.callee(call); pkg == "log/slog" {
			for at := sinks[pkg+"."+name].at + 1; at < len(call.Args); at += 2 {
				if key, is := r.text(call.Args[at]); is {
					keys = append(keys, key)
				}
			}
			return keys
		}
	}
	return nil
}
