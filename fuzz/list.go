package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
)

// A target is one fuzz target.
type target struct {
	dir, name string
	program   bool // the package is main
	c         bool // it has C
}

func (t target) String() string {
	line := "./" + t.dir + " " + t.name
	if t.program {
		line += " main"
	}
	return line
}

// list finds the targets in the test files beneath a folder, in the order of their paths.
// A file that does not parse is an error.
func list(root string) (targets []target, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "build" || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		c, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*.c"))
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("read test %q: %w", path, err)
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && isTarget(fn) {
				targets = append(targets, target{filepath.ToSlash(dir), fn.Name.Name, f.Name.Name == "main", len(c) > 0})
			}
		}
		return nil
	})
	return targets, err
}

// isTarget says whether a function is what "go test -fuzz" runs (testing.F).
func isTarget(fn *ast.FuncDecl) bool {
	if fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Fuzz") || len(fn.Type.Params.List) != 1 {
		return false
	}
	pointer, ok := fn.Type.Params.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	of, ok := pointer.X.(*ast.SelectorExpr)
	return ok && of.Sel.Name == "F"
}
