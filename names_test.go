package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// TestNamesDifferInMoreThanCase: no package has two names, and no type two fields or
// methods, that differ only in the case of their first letter. A reader takes one for the
// other. Tests are held to it, too. A field and the method that returns it may: that is how
// Go names them (Effective Go, Getters).
func TestNamesDifferInMoreThanCase(t *testing.T) {
	seen, found, looked := map[string]member{}, map[string]bool{}, 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "build" || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			for scope, names := range declared(decl) {
				for _, name := range names {
					looked++
					first, size := utf8.DecodeRuneInString(name.name)
					pair := filepath.Dir(path) + " " + scope + ": " + string(unicode.ToLower(first)) + name.name[size:]
					key := f.Name.Name + " " + pair // tests may be a package of their own
					other := seen[key]
					seen[key] = name
					if other.name == "" || other.name == name.name || isGetter(name, other) {
						continue
					}
					if found[pair] = true; !alike[pair] {
						t.Errorf("%s: %s and %s of %s differ only in the case of their first letter", path, other.name, name.name, strings.TrimSpace(f.Name.Name+" "+scope))
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pair := range alike {
		if !found[pair] {
			t.Errorf("%s: no such pair any more; take it off the list", pair)
		}
	}
	if looked < 1000 {
		t.Errorf("only %d names were looked at: is the tree where the test looks?", looked)
	}
}

// alike are pairs that are there still, by folder and scope. A new one is none of them.
var alike = map[string]bool{
	"internal/config Config: againstNIST":       true,
	"internal/account Accounts: take":           true,
	"internal/account/contacts Directory: look": true,
	"internal/host/doctor smsPlace: twilio":     true,
	"internal/host/foreign key: response":       true,
	"internal/login Engine: endings":            true,
	"internal/store/etcd : hostID":              true,
	"internal/store/etcd : open":                true,
	"internal/store/etcd Store: check":          true,
}

// A member is a name of a package, or of a type.
type member struct {
	name   string
	method bool
}

// isGetter says whether one of two is an unexported field and the other an exported method.
func isGetter(a, b member) bool {
	if a.method {
		a, b = b, a
	}
	return !a.method && b.method && !ast.IsExported(a.name) && ast.IsExported(b.name)
}

// declared returns the names that a declaration adds to the package, under "", and to each
// type, under its name.
func declared(decl ast.Decl) map[string][]member {
	names := map[string][]member{}
	if fn, is := decl.(*ast.FuncDecl); is {
		scope := ""
		if fn.Recv != nil {
			scope = typeName(fn.Recv.List[0].Type)
		}
		names[scope] = append(names[scope], member{fn.Name.Name, fn.Recv != nil})
		return names
	}
	for _, spec := range decl.(*ast.GenDecl).Specs {
		switch s := spec.(type) {
		case *ast.ValueSpec:
			for _, id := range s.Names {
				names[""] = append(names[""], member{name: id.Name})
			}
		case *ast.TypeSpec:
			names[""] = append(names[""], member{name: s.Name.Name})
			names[s.Name.Name] = append(names[s.Name.Name], members(s.Type)...)
		}
	}
	return names
}

// members returns the names of the fields of a struct, or of the methods of an interface.
func members(t ast.Expr) (names []member) {
	var list *ast.FieldList
	methods := false
	switch t := t.(type) {
	case *ast.StructType:
		list = t.Fields
	case *ast.InterfaceType:
		list, methods = t.Methods, true
	default:
		return nil
	}
	for _, field := range list.List {
		if field.Names == nil {
			names = append(names, member{name: typeName(field.Type)}) // embedded
		}
		for _, id := range field.Names {
			names = append(names, member{id.Name, methods})
		}
	}
	return names
}

// typeName returns the name of a type without its pointer, package and parameters; empty if
// it has none.
func typeName(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.Ident:
		return t.Name
	case *ast.StarExpr:
		return typeName(t.X)
	case *ast.SelectorExpr:
		return t.Sel.Name
	case *ast.IndexExpr:
		return typeName(t.X)
	case *ast.IndexListExpr:
		return typeName(t.X)
	}
	return ""
}

// maxLines bounds a file of a program, so that a reader finds a thing by the file's name.
const maxLines = 500

// TestFilesAreShort holds every file but those of tests to maxLines.
func TestFilesAreShort(t *testing.T) {
	looked := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "build" || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		looked++
		if n := strings.Count(string(text), "\n"); n > maxLines {
			t.Errorf("%s has %d lines: part it by theme, want %d or fewer", path, n, maxLines)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if looked < 100 {
		t.Errorf("only %d files were looked at: is the tree where the test looks?", looked)
	}
}
