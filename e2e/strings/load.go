package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"
)

// A room is one package of ours with the types of its expressions.
type room struct {
	dir   string // from the root of the tree
	fset  *token.FileSet
	files []*ast.File
	info  *types.Info
}

// listed is what "go list" says of a package.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles, CgoFiles       []string
}

// load returns the rooms that programs are built of; what serves tests is none of them.
func load(programs ...string) ([]room, error) {
	cmd := exec.Command("go", append([]string{"list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,CgoFiles"}, programs...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var ours []listed
	exports := map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		exports[p.ImportPath] = p.Export
		if strings.HasPrefix(p.ImportPath, "mfa/") {
			ours = append(ours, p)
		}
	}
	fset := token.NewFileSet()
	from := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	var rooms []room
	for _, p := range ours {
		r, err := check(fset, from, p)
		if err != nil {
			return nil, err
		}
		rooms = append(rooms, r)
	}
	return rooms, nil
}

// check reads a package. What its C declares has no types here, and needs none.
func check(fset *token.FileSet, from types.Importer, p listed) (room, error) {
	r := room{dir: strings.TrimPrefix(p.ImportPath, "mfa/"), fset: fset, info: &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{},
	}}
	for _, name := range append(p.GoFiles, p.CgoFiles...) {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return room{}, err
		}
		r.files = append(r.files, f)
	}
	conf := types.Config{Importer: from, FakeImportC: true}
	if _, err := conf.Check(p.ImportPath, fset, r.files, r.info); err != nil {
		return room{}, fmt.Errorf("%s: %w", p.ImportPath, err)
	}
	return r, nil
}

// catalog returns the English sentences of a language's file.
func catalog(path string) (map[string]bool, error) {
	var entries map[string]any
	if _, err := toml.DecodeFile(path, &entries); err != nil {
		return nil, err
	}
	all := map[string]bool{}
	for english := range entries {
		all[english] = true
	}
	return all, nil
}
