package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A licence is known by sentences that its text must have, and by some that it must not.
type licence struct {
	id   string // SPDX
	has  []string
	hasn []string
}

const (
	redistribution = "redistribution and use in source and binary forms with or without modification are permitted provided that the following conditions are met"
	endorse        = "used to endorse or promote products derived from this software without"
	advertising    = "all advertising materials mentioning features"
)

// licences are those that a module may have: they ask for their own text and notices to
// go with the programs, and for nothing else that the packages would have to do.
var licences = []licence{
	{id: "Apache-2.0", has: []string{
		"apache license version 2 0 january 2004", "terms and conditions for use reproduction and distribution",
		"8 limitation of liability",
	}},
	{id: "BSD-2-Clause", has: []string{redistribution, "binary form must reproduce"}, hasn: []string{endorse, advertising}},
	{id: "BSD-3-Clause", has: []string{redistribution, "binary form must reproduce", endorse}, hasn: []string{advertising}},
	{id: "ISC", has: []string{"permission to use copy modify and or distribute this software for any purpose with or without fee is hereby granted"}},
	{id: "MIT", has: []string{
		"permission is hereby granted free of charge to any person obtaining a copy of this software and associated documentation files",
		"the software is provided as is without warranty of any kind",
	}},
}

var noWord = regexp.MustCompile(`[^a-z0-9]+`)

// words brings a text to words with one blank between them.
func words(text []byte) string {
	return " " + strings.Join(strings.Fields(noWord.ReplaceAllString(strings.ToLower(string(text)), " ")), " ") + " "
}

// name returns the identifiers of the licences whose text this is.
func name(text []byte) (ids []string) {
	plain := words(text)
	contains := func(s string) bool { return strings.Contains(plain, s) }
	for _, l := range licences {
		if !slices.ContainsFunc(l.hasn, contains) && !slices.ContainsFunc(l.has, func(s string) bool { return !contains(s) }) {
			ids = append(ids, l.id)
		}
	}
	return ids
}

// papers are the files of a module's root that a licence may be in, and the notices that
// Apache-2.0 wants to be passed on.
var papers = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice)([-.].*)?$`)

// license says of each module under which licences it is, and returns all their texts. A
// module without a licence that is known is an error.
func license(modules map[string]component) ([]byte, error) {
	folders, err := foldersOf(modules)
	if err != nil {
		return nil, err
	}
	var all bytes.Buffer
	var unknown []error
	for _, ref := range slices.Sorted(maps.Keys(modules)) {
		m := modules[ref]
		ids, texts, err := read(folders[ref])
		if err == nil && len(ids) == 0 {
			err = errors.New("no licence that is known")
		}
		if err != nil {
			unknown = append(unknown, fmt.Errorf("module %q at %s: %w", m.Name, m.Version, err))
			continue
		}
		m.Licences = choices(ids...)
		modules[ref] = m
		fmt.Fprintf(&all, "%s %s: %s\n\n%s\n", m.Name, m.Version, strings.Join(ids, ", "), texts)
	}
	return all.Bytes(), errors.Join(unknown...)
}

// read returns the licences in a folder, and what they and the notices say.
func read(folder string) (ids []string, texts []byte, err error) {
	files, err := os.ReadDir(folder)
	if err != nil {
		return nil, nil, err
	}
	var all bytes.Buffer
	for _, f := range files {
		if !f.Type().IsRegular() || !papers.MatchString(f.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, f.Name()))
		if err != nil {
			return nil, nil, err
		}
		ids = append(ids, name(text)...)
		fmt.Fprintf(&all, "%s\n\n", bytes.TrimSpace(text))
	}
	slices.Sort(ids)
	return slices.Compact(ids), all.Bytes(), nil
}

// foldersOf returns where the sources of modules are, as they were built from.
func foldersOf(modules map[string]component) (map[string]string, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	folders, args := map[string]string{}, []string{"mod", "download", "-json"}
	for ref, m := range modules {
		if m.Name == std {
			folders[ref] = strings.TrimSpace(string(root))
			continue
		}
		args = append(args, m.Name+"@"+m.Version)
	}
	if len(args) == 3 {
		return folders, nil
	}
	out, err := exec.Command("go", args...).Output()
	stream := json.NewDecoder(bytes.NewReader(out))
	for {
		var got struct{ Path, Version, Dir, Error string }
		if end := stream.Decode(&got); errors.Is(end, io.EOF) {
			return folders, err
		} else if end != nil {
			return nil, errors.Join(err, end)
		}
		if got.Error != "" {
			return nil, fmt.Errorf("module %q at %s: %s", got.Path, got.Version, got.Error)
		}
		folders["pkg:golang/"+got.Path+"@"+got.Version] = got.Dir
	}
}

func choices(ids ...string) []choice {
	all := make([]choice, len(ids))
	for i, id := range ids {
		all[i].Licence.ID = id
	}
	return all
}
