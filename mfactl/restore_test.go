package main

import (
	"strings"
	"testing"
)

const wholeBackup = `{"format":"mfa-backup","version":1,"made":"2030-05-17T09:30:00Z","host":"h","mfa":"1","generation":0,"key":"00"}
{"user":"alice","enrollment":"version = 1\n","state":{"uid":1}}
{"user":"bob","problem":"x"}
{"end":true,"users":2}
`

// A backup that is not whole is none.
func TestReadBackup(t *testing.T) {
	b, err := readBackup(strings.NewReader(wholeBackup))
	if err != nil || len(b.users) != 2 || b.header.Host != "h" || b.users[b.index["bob"]].Problem != "x" {
		t.Fatalf("%+v, %v", b, err)
	}
	lines := strings.SplitAfter(wholeBackup, "\n")
	for n := range len(lines) - 1 { // without the nth line
		text := strings.Join(lines[:n], "") + strings.Join(lines[n+1:], "")
		if b, err := readBackup(strings.NewReader(text)); err == nil {
			t.Errorf("without line %d: %+v", n+1, b)
		}
	}
	for n := range len(wholeBackup) - 1 {
		if b, err := readBackup(strings.NewReader(wholeBackup[:n])); err == nil {
			t.Errorf("%d bytes: %+v", n, b)
		}
	}
	for old, changed := range map[string]string{
		`"bob"`: `"alice"`, `"version":1`: `"version":2`, `"mfa-backup"`: `"tar"`, `"users":2}`: `"users":2}{}`,
		`"problem"`: `"later"`, `"bob","problem"`: `"","problem"`,
	} {
		if b, err := readBackup(strings.NewReader(strings.Replace(wholeBackup, old, changed, 1))); err == nil {
			t.Errorf("%s: %+v", changed, b)
		}
	}
}

func FuzzReadBackup(f *testing.F) {
	f.Add(wholeBackup)
	f.Fuzz(func(t *testing.T, text string) {
		b, err := readBackup(strings.NewReader(text))
		if err == nil && len(b.index) != len(b.users) {
			t.Errorf("%+v", b)
		}
	})
}
