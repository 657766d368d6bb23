// Sbom writes the bill of materials of a package: CycloneDX 1.6 in JSON
// (https://cyclonedx.org/docs/1.6/json/), from what the Go linker wrote into each
// program about the modules it holds.
//
// With -notices it also writes what the modules' licences want to be passed on with the
// programs: their texts and notices.
//
// What to know before trusting it: a module that is not in a program is not in the
// bill, whatever go.mod says, and a file without a Go build (pam_mfa.so) stands in
// it by its hash alone. A module whose licence is not one of a few that are known and
// ask for no more than their text (licence.go) is refused. The same files give the same
// bytes: there is no serial number, and the time is the caller's.
package main

import (
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// A bill is the document.
type bill struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Version    int         `json:"version"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
	Depends    []edge      `json:"dependencies"`
}

type metadata struct {
	Time      string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Type     string   `json:"type"`
	Ref      string   `json:"bom-ref"`
	Name     string   `json:"name"`
	Version  string   `json:"version,omitempty"`
	Hashes   []hash   `json:"hashes,omitempty"`
	Licences []choice `json:"licenses,omitempty"`
	URL      string   `json:"purl,omitempty"`
}

// A choice names a licence by its SPDX identifier.
type choice struct {
	Licence struct {
		ID string `json:"id"`
	} `json:"license"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

// An edge says what a component is made of.
type edge struct {
	Ref string   `json:"ref"`
	On  []string `json:"dependsOn"`
}

// ours is the licence of this repository.
const ours = "Apache-2.0"

func main() {
	name := flag.String("name", "", "of the package")
	version := flag.String("version", "", "of the package")
	seconds := flag.Int64("time", 0, "of the build, since the epoch")
	notices := flag.String("notices", "", "a file for the licences' texts")
	flag.Parse()
	if err := write(os.Stdout, *name, *version, time.Unix(*seconds, 0).UTC(), *notices, flag.Args()); err != nil {
		fmt.Fprintf(os.Stderr, "sbom: %v\n", err)
		os.Exit(1)
	}
}

// write writes the bill of a package that holds the files, and the notices.
func write(to io.Writer, name, version string, at time.Time, notices string, files []string) error {
	whole := component{Type: "application", Ref: name, Name: name, Version: version, Licences: choices(ours)}
	b := bill{
		Format: "CycloneDX", Spec: "1.6", Version: 1,
		Metadata: metadata{Time: at.Format(time.RFC3339), Component: whole},
	}
	modules := map[string]component{}
	var parts []string
	for _, path := range files {
		file, deps, err := look(path)
		if err != nil {
			return err
		}
		file.Version, file.Licences = version, choices(ours)
		b.Components = append(b.Components, file)
		parts = append(parts, file.Ref)
		b.Depends = append(b.Depends, edge{Ref: file.Ref, On: refs(deps)})
		for _, d := range deps {
			modules[d.Ref] = d
		}
	}
	b.Depends = append(b.Depends, edge{Ref: name, On: parts})
	texts, err := license(modules)
	if err != nil {
		return err
	}
	if notices != "" {
		if err := os.WriteFile(notices, texts, 0o644); err != nil {
			return err
		}
	}
	for _, m := range modules {
		b.Components = append(b.Components, m)
	}
	slices.SortFunc(b.Components, func(x, y component) int { return cmp.Compare(x.Ref, y.Ref) })
	slices.SortFunc(b.Depends, func(x, y edge) int { return cmp.Compare(x.Ref, y.Ref) })
	out := json.NewEncoder(to)
	out.SetIndent("", "  ")
	return out.Encode(b)
}

// std is the standard library's name in a purl.
const std = "std"

// look returns a file and the modules in it, the standard library among them.
func look(path string) (component, []component, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return component{}, nil, err
	}
	sum := sha256.Sum256(data)
	file := component{
		Type: "file", Ref: "file:" + filepath.Base(path), Name: filepath.Base(path),
		Hashes: []hash{{"SHA-256", hex.EncodeToString(sum[:])}},
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		if strings.HasSuffix(path, ".so") {
			return file, nil, nil // C
		}
		return component{}, nil, fmt.Errorf("read the build of %q: %w", path, err)
	}
	at := strings.TrimPrefix(info.GoVersion, "go")
	deps := []component{{
		Type: "library", Ref: "pkg:golang/std@" + at, Name: std, Version: at, URL: "pkg:golang/std@" + at,
	}}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		deps = append(deps, library(m))
	}
	return file, deps, nil
}

func library(m *debug.Module) component {
	url := "pkg:golang/" + m.Path + "@" + m.Version
	c := component{Type: "library", Ref: url, Name: m.Path, Version: m.Version, URL: url}
	// go.sum's h1 is a SHA-256, of the list of the module's files.
	if sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:")); err == nil && len(sum) == sha256.Size {
		c.Hashes = []hash{{"SHA-256", hex.EncodeToString(sum)}}
	}
	return c
}

// refs returns the references of the components, sorted.
func refs(all []component) []string {
	out := []string{}
	for _, c := range all {
		out = append(out, c.Ref)
	}
	slices.Sort(out)
	return out
}
