package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// govulncheck returns the program that make vuln takes.
func govulncheck(t *testing.T) string {
	t.Helper()
	found, _ := filepath.Glob("../../build/tools/govulncheck-*")
	if len(found) != 1 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs make vuln's govulncheck")
		}
		t.Skip("needs make vuln's govulncheck")
	}
	path, err := filepath.Abs(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// entry is one of a database, in OSV's format: a function of the standard library that
// no version mends.
const entry = `{
  "schema_version": "1.3.1",
  "id": "GO-2000-0001",
  "modified": "2000-01-02T00:00:00Z",
  "published": "2000-01-01T00:00:00Z",
  "summary": "made up",
  "details": "made up",
  "affected": [{
    "package": {"name": "stdlib", "ecosystem": "Go"},
    "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}],
    "ecosystem_specific": {"imports": [{"path": "PACKAGE", "symbols": ["SYMBOL"]}]}
  }]
}
`

// database makes one in OSV's layout, that knows of one function.
func database(t *testing.T, pkg, symbol string) string {
	t.Helper()
	folder := t.TempDir()
	text := strings.NewReplacer("PACKAGE", pkg, "SYMBOL", symbol).Replace(entry)
	put(t, folder+"/GO-2000-0001.json", text)
	return "file://" + folder
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// program makes a module that calls strings.Title and not strings.Fields, and goes there.
func program(t *testing.T) {
	t.Helper()
	folder := t.TempDir()
	put(t, folder+"/go.mod", "module tried\n\ngo 1.26\n")
	put(t, folder+"/main.go", "package main\n\nimport \"strings\"\n\nfunc main() { println(strings.Title(\"a\")) }\n")
	t.Chdir(folder)
}

func TestFindings(t *testing.T) {
	tool := govulncheck(t)
	called := database(t, "strings", "Title")
	other := database(t, "strings", "Fields")
	for _, tc := range []struct {
		name, db, accepted string
		err, said          string
	}{
		{"called", called, "", "1 of what is above", "strings.Title is called (stdlib@"},
		{"not called", other, "", "", "none is called"},
		{"accepted", called, "# why\nGO-2000-0001 made up\n", "", "accepted GO-2000-0001: made up"},
		{"accepted and gone", other, "GO-2000-0001 made up\n", "1 of what is above", "GO-2000-0001 is accepted and not found"},
		{"accepted without a reason", called, "GO-2000-0001\n", "accepted:1: not an ID", ""},
		{"no database", "file:///nowhere", "", "run \"", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			program(t)
			accepted := filepath.Join(t.TempDir(), "accepted")
			put(t, accepted, tc.accepted)
			var said strings.Builder
			r := request{program: tool, db: tc.db, accepted: accepted}
			err := r.run(t.Context(), &said, []string{"./..."})
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if !strings.Contains(said.String(), tc.said) {
				t.Errorf("says %q, want %q", said.String(), tc.said)
			}
		})
	}
}

// TestNoDatabase holds that what cannot be reached is said, and is no finding.
func TestNoDatabase(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOFLAGS", "-modcacherw")
	t.Setenv("GOMODCACHE", t.TempDir())
	var said strings.Builder
	if err := (request{official: address, module: module}).run(t.Context(), &said, []string{"./..."}); err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(said.String(), "NOT CHECKED") {
		t.Errorf("says %q", said.String())
	}
	there := httptest.NewServer(http.FileServer(http.Dir(t.TempDir())))
	defer there.Close()
	if db, err := reachable(t.Context(), there.URL, module); err == nil {
		t.Errorf("an empty server is a database: %q", db)
	}
}

// TestDatabases takes the official database before the one of the proxy, and that one
// where the other is not to be had.
func TestDatabases(t *testing.T) {
	folder := t.TempDir()
	put(t, folder+"/index/db.json", "{}")
	server := httptest.NewServer(http.FileServer(http.Dir(folder)))
	defer server.Close()
	if db, err := reachable(t.Context(), server.URL, module); err != nil || db != server.URL {
		t.Errorf("db %q, %v", db, err)
	}

	// A proxy in a folder: https://go.dev/ref/mod#goproxy-protocol.
	proxy := t.TempDir()
	at := proxy + "/example.org/vulndb/@v/"
	put(t, at+"list", "v1.0.0\n")
	put(t, at+"v1.0.0.info", `{"Version":"v1.0.0","Time":"2000-01-01T00:00:00Z"}`)
	put(t, at+"v1.0.0.mod", "module example.org/vulndb\n")
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	w, err := z.Create("example.org/vulndb@v1.0.0/data/osv/GO-2000-0001.json")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, entry); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	put(t, at+"v1.0.0.zip", packed.String())
	t.Setenv("GOPROXY", "file://"+proxy)
	t.Setenv("GONOSUMDB", "example.org")
	t.Setenv("GOFLAGS", "-modcacherw")
	t.Setenv("GOMODCACHE", t.TempDir())
	db, err := reachable(t.Context(), server.URL+"/nowhere", "example.org/vulndb")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(strings.TrimPrefix(db, "file://") + "/GO-2000-0001.json"); err != nil {
		t.Error(err)
	}
}
