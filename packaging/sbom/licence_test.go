package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// bsd is the text of BSD-3-Clause, in other lines and with another name than usual.
const bsd = `Redistribution and use in source and binary forms, with or without modification, are
permitted provided that the following conditions are met:
1. Redistributions of source code must retain the above notice.
2. Redistributions in binary form must reproduce the above notice.
3. Neither the name of Example nor the names of its contributors may be
   used to endorse or promote products derived from this software without
   specific prior written permission.`

const mit = `Permission is hereby granted, free of charge, to any person obtaining a copy of this
software and associated documentation files (the "Software"), ...
THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND`

func TestName(t *testing.T) {
	apache, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]string{
		string(apache): {"Apache-2.0"},
		bsd:            {"BSD-3-Clause"},
		strings.Split(bsd, "3.")[0] + "THIS IS PROVIDED AS IS": {"BSD-2-Clause"},
		mit:              {"MIT"},
		mit + "\n" + bsd: {"BSD-3-Clause", "MIT"},
		"Permission to use, copy, modify, and/or distribute this software for any\npurpose with or without fee is hereby granted": {"ISC"},
		// They ask for more than their text.
		bsd + "\n4. All advertising materials mentioning features of it must say so": nil,
		"GNU GENERAL PUBLIC LICENSE Version 3, 29 June 2007":                         nil,
		"Mozilla Public License Version 2.0":                                         nil,
		"Licensed under the Apache License, Version 2.0":                             nil, // names one, is none
		"": nil,
	} {
		if got := name([]byte(text)); !slices.Equal(got, want) {
			t.Errorf("%.40q is %v, want %v", text, got, want)
		}
	}
}

// TestLicensesOfAModule holds which files of a module count: the texts of all of them go
// with the programs, notices too, and what is no licence is no text.
func TestLicensesOfAModule(t *testing.T) {
	folder := t.TempDir()
	for file, text := range map[string]string{
		"LICENSE": mit, "NOTICE": "Example's notice", "README.md": bsd, "license_test.go": bsd, "COPYING.txt": bsd,
	} {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ids, texts, err := read(folder)
	if err != nil || !slices.Equal(ids, []string{"BSD-3-Clause", "MIT"}) {
		t.Errorf("it is %v, %v", ids, err)
	}
	for _, want := range []string{"free of charge", "Example's notice", "used to endorse"} {
		if strings.Count(string(texts), want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, texts)
		}
	}
}

// TestUnknownLicenceIsRefused holds that no module gets in whose licence nobody looked
// at: a bill of programs that are made of it is an error.
func TestUnknownLicenceIsRefused(t *testing.T) {
	proxy := proxyWith(t, "example.org/odd", "GNU GENERAL PUBLIC LICENSE Version 3")
	t.Setenv("GOPROXY", "file://"+proxy)
	t.Setenv("GONOSUMDB", "example.org")
	t.Setenv("GOFLAGS", "-modcacherw")
	t.Setenv("GOMODCACHE", t.TempDir())
	odd := component{Name: "example.org/odd", Version: "v1.0.0", Ref: "pkg:golang/example.org/odd@v1.0.0"}
	library := component{Name: std, Version: "1", Ref: "pkg:golang/std@1"}
	_, err := license(map[string]component{odd.Ref: odd, library.Ref: library})
	if err == nil || err.Error() != `module "example.org/odd" at v1.0.0: no licence that is known` {
		t.Errorf("error %v", err)
	}
	missing := component{Name: "example.org/missing", Version: "v1.0.0", Ref: "pkg:golang/example.org/missing@v1.0.0"}
	if _, err := license(map[string]component{missing.Ref: missing}); err == nil {
		t.Error("a module that is not to be had has a licence")
	}
}
