package main

import (
	"archive/zip"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// proxyWith makes a Go module proxy in a folder (https://go.dev/ref/mod#goproxy-protocol)
// that has version v1.0.0 of a module, with this licence.
func proxyWith(t *testing.T, module, licence string) string {
	t.Helper()
	folder := t.TempDir()
	at := filepath.Join(folder, module, "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		"list": "v1.0.0\n", "v1.0.0.mod": "module " + module + "\n",
		"v1.0.0.info": `{"Version":"v1.0.0","Time":"2000-01-01T00:00:00Z"}`,
	} {
		if err := os.WriteFile(filepath.Join(at, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Create(filepath.Join(at, "v1.0.0.zip"))
	if err != nil {
		t.Fatal(err)
	}
	packed := zip.NewWriter(file)
	for name, text := range map[string]string{"LICENSE": licence, "x.go": "package x\n"} {
		w, err := packed.Create(module + "@v1.0.0/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return folder
}
