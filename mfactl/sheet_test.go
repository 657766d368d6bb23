package main

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// said is a sheet in one line for each of its lines and faults.
func said(s sheet) string {
	var b strings.Builder
	for _, l := range s.lines {
		fmt.Fprintf(&b, "%d %s %s %s\n", l.line, l.User, l.Email, l.Phone)
	}
	for _, f := range s.faults {
		fmt.Fprintf(&b, "%d! %s\n", f.line, f.why)
	}
	return b.String()
}

// Tables are read as the programs of this world save them.
func TestReadSheet(t *testing.T) {
	want := "2 alice alice@example.com +4915123456789\n3 bob  +4915123456788\n"
	for name, text := range map[string]string{
		"plain":            "user,email,phone\nalice,alice@example.com,+4915123456789\nbob,,+4915123456788\n",
		"no last line end": "user,email,phone\nalice,alice@example.com,+4915123456789\nbob,,+4915123456788",
		"another order":    "Phone, USER ,Email\n+4915123456789,alice,alice@example.com\n+4915123456788,bob,\n",
		"byte order mark":  "\ufeffuser,email,phone\r\nalice,alice@example.com,+4915123456789\r\nbob,,+4915123456788\r\n",
		"semicolons":       "user;email;phone\nalice;alice@example.com;+4915123456789\nbob;;+4915123456788\n",
		"tabs":             "user\temail\tphone\nalice\talice@example.com\t+4915123456789\nbob\t\t+4915123456788\n",
		"quotes":           "\"user\",\"email\",\"phone\"\n\"alice\",\"alice@example.com\",\"+4915123456789\"\n\"bob\",\"\",\"+4915123456788\"\n",
		"old Mac":          "user,email,phone\ralice,alice@example.com,+4915123456789\rbob,,+4915123456788\r",
		"more columns":     "user,Name,email,phone\nalice,\"Smith; Alice, \"\"A\"\"\",alice@example.com,+4915123456789\nbob,,,+4915123456788\n",
		"empty rows":       "user,email,phone,\nalice,alice@example.com,+4915123456789,,,\nbob,,+4915123456788,\n\n,,\n,,,\n",
		"spaces":           "user, email, phone\n alice , alice@example.com ,\u00a0+4915123456789\nbob,,+4915123456788 \n",
		"apostrophes":      "user,email,phone\nalice,alice@example.com,'+4915123456789\nbob,,'+4915123456788\n",
	} {
		s, err := readSheet([]byte(text))
		if got := said(s); err != nil || got != want {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
	s, err := readSheet([]byte("sep=;\n\nuser;email;Department\nalice;a@example.com;x\nbob;\"b\n"))
	if got := said(s); err != nil || !strings.HasPrefix(got, "4 alice") || !strings.Contains(got, "\n5! a cell that begins with a quote") {
		t.Errorf("%v\n%s", err, got)
	}
	if !reflect.DeepEqual(s.unread, []string{"Department"}) {
		t.Errorf("left out: %q", s.unread)
	}
}

// Every line that is wrong is named, and none for another's fault.
func TestReadSheetNamesEveryFault(t *testing.T) {
	s, err := readSheet([]byte("user,email,phone\n" +
		"alice,a@example.com,\n" + // 2
		"bob,b@example.com\n" +
		"carol,c@example.com,,x\n" +
		",d@example.com,\n" + // 5
		"erin,,\n" +
		"frank,f@exa\"mple.com,\n" +
		"grace,\"g\"@example.com,\n" + // 8
		"heidi,h\xe4@example.com,\n" +
		strings.Repeat("i", 257) + ",i@example.com,\n" +
		"alice,,+4915123456789\n" + // 11
		"judy,j@example.com,\n" +
		"\"mallory,m@example.com,\n" +
		"nick,n@example.com,\n"))
	want := "2 alice a@example.com \n12 judy j@example.com \n" +
		"3! it has 2 cells, and the header has 3\n4! it has 4 cells, and the header has 3\n5! there is no user\n" +
		"6! \"erin\" has neither an address nor a number\n" +
		"7! a quote in a cell: put the cell in quotes and double those in it, like \"a \"\"b\"\" c\"\n" +
		"8! a cell that begins with a quote does not end with one\n" +
		"9! the email is not in UTF-8: save the table as \"CSV UTF-8\"\n" +
		"10! the user is longer than 256 bytes\n11! \"alice\" is in line 2 already\n" +
		"13! a cell that begins with a quote does not end with one\n"
	if got := said(s); err != nil || got != want {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestNoSheet(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "no header",
		"\n\n":                      "no header",
		"alice,alice@example.com\n": `line 1: the header has to name the columns user, and email or phone or both; it has "alice", "alice@example.com"`,
		"user,mail\n":               `it has "user", "mail"`,
		"email,phone\n":             "the columns user",
		"user,user,email\n":         `the column "user" is there twice`,
		"\"user,email\n":            "line 1: a cell that begins with a quote",
		"PK\x03\x04abc":             "is a spreadsheet: save it",
		"\xd0\xcf\x11\xe0abc":       "is a spreadsheet",
		"\xff\xfeu\x00s\x00":        "is UTF-16: save it",
		"\xfe\xff\x00u\x00s":        "is UTF-16",
		"user,email\x00\n":          "is not text",
	} {
		if s, err := readSheet([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %q", text, s, err, want)
		}
	}
}

// A table that is printed for spreadsheets starts no formula there, and reads back as it was.
func TestCSVOfUsers(t *testing.T) {
	at := time.Date(2026, 11, 30, 1, 2, 3, 0, time.UTC)
	all := []wire.User{
		{User: "alice", Email: "=cmd|'/c calc'!A1@example.com", Phone: "+4915123456789", EmailConfirmed: &at, Methods: []mfa.Method{mfa.Email, mfa.SMS}, Preferred: mfa.SMS},
		{User: "-bob", Email: "@example.com", Locked: true, Failures: 3},
		{User: "carol", Problem: "line 2: \"uid\", is\nno number"},
		{User: "dan", Email: "'quoted'@example.com"},
	}
	var out bytes.Buffer
	if err := printCSV(&out, all); err != nil {
		t.Fatal(err)
	}
	want := "user,email,phone,email_confirmed,phone_confirmed,methods,preferred,locked,failures,problem\n" +
		"alice,'=cmd|'/c calc'!A1@example.com,'+4915123456789,2026-11-30T01:02:03Z,,email sms,sms,no,0,\n" +
		"'-bob,'@example.com,,,,none,,until unlocked,3,\n" +
		"carol,,,,,,,,,\"line 2: \"\"uid\"\", is?no number\"\n" +
		"dan,'quoted'@example.com,,,,none,,no,0,\n"
	if out.String() != want {
		t.Errorf("%s", &out)
	}
	s, err := readSheet(out.Bytes())
	wantRead := "2 alice =cmd|'/c calc'!A1@example.com +4915123456789\n3 -bob @example.com \n5 dan 'quoted'@example.com \n" +
		"4! \"carol\" has neither an address nor a number\n"
	if got := said(s); err != nil || got != wantRead {
		t.Errorf("%v\n%s", err, got)
	}
}

// Requests are as large as mfad takes them, and no line is lost between them.
func TestPartsOf(t *testing.T) {
	long := sheetLine{ContactLine: wire.ContactLine{User: strings.Repeat("\x01", maxCell), Email: strings.Repeat("<", maxCell), Phone: strings.Repeat("\x02", maxCell)}}
	for _, lines := range [][]sheetLine{nil, make([]sheetLine, 1), make([]sheetLine, wire.MaxContactLines), make([]sheetLine, 1001), {long, long, long, {}, long, long, long, long, long, long, long, long}} {
		next := 0
		for part := range partsOf(lines) {
			size := 0
			for _, l := range lines[part[0]:part[1]] {
				size += 6*(len(l.User)+len(l.Email)+len(l.Phone)) + 64
			}
			if part[0] != next || part[1] <= part[0] || part[1]-part[0] > wire.MaxContactLines || size > 64<<10 {
				t.Errorf("%d lines: %v after %d, up to %d bytes", len(lines), part, next, size)
			}
			next = part[1]
		}
		if next != len(lines) {
			t.Errorf("%d lines: only %d are sent", len(lines), next)
		}
	}
}

// FuzzReadSheet reads anything: each line that is taken has a user and something to set,
// within bounds, and says where it stands.
func FuzzReadSheet(f *testing.F) {
	for _, text := range []string{"user,email\nalice,a@example.com\n", "\ufeffuser;phone\r\n\"a\";'+1\r\n", "sep=,\nuser,email\n\"x\ny,", "user\temail\n\"", "\xff\xfe"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := readSheet(data)
		if err != nil && (s.lines != nil || s.faults != nil) {
			t.Error("an error, and a table")
		}
		total := bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) + 1
		last := 0
		for _, l := range s.lines {
			if l.User == "" || l.Email == "" && l.Phone == "" || len(l.User) > maxCell || len(l.Email) > maxCell || len(l.Phone) > maxCell {
				t.Errorf("line %+v", l)
			}
			if l.line <= last || l.line > total {
				t.Errorf("line %d after %d of %d", l.line, last, total)
			}
			last = l.line
			if back := plainCell(safeCell(l.Phone)); back != l.Phone && plainCell(l.Phone) == l.Phone {
				t.Errorf("%q comes back as %q", l.Phone, back)
			}
		}
		for _, fault := range s.faults {
			if fault.line < 1 || fault.line > total || fault.why == "" {
				t.Errorf("fault %+v of %d lines", fault, total)
			}
		}
	})
}
