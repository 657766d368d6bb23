package contacts

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mfa/internal/mfa"
)

// A record as systemd has it.
const aliceRecord = `{"userName":"alice","uid":1000,"realName":"Alice","emailAddress":"alice@example.com","status":{}}`

// multiplexerOf answers each call on a socket with what say returns for it.
func multiplexerOf(t *testing.T, say func(call string) string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if call, err := bufio.NewReader(c).ReadString(0); err == nil {
				_, _ = c.Write([]byte(say(call)))
			}
			_ = c.Close()
		}
	}()
	return name
}

func TestUserDB(t *testing.T) {
	for name, tc := range map[string]struct {
		reply string
		want  []string
		err   string
	}{
		"has one":         {`{"parameters":{"record":` + aliceRecord + `,"incomplete":false}}` + "\x00", []string{"alice@example.com"}, ""},
		"has none":        {`{"parameters":{"record":{"userName":"alice","uid":1000}}}` + "\x00", nil, ""},
		"no such user":    {`{"error":"io.systemd.UserDatabase.NoRecordFound","parameters":{}}` + "\x00", nil, ""},
		"not there":       {`{"error":"io.systemd.UserDatabase.ServiceNotAvailable","parameters":{}}` + "\x00", nil, "ServiceNotAvailable"},
		"conflict":        {`{"error":"io.systemd.UserDatabase.ConflictingRecordFound","parameters":{}}` + "\x00", nil, "Conflicting"},
		"another account": {`{"parameters":{"record":{"userName":"alice","uid":1001,"emailAddress":"eve@example.com"}}}` + "\x00", nil, "another account"},
		"another name":    {`{"parameters":{"record":{"userName":"eve","emailAddress":"eve@example.com"}}}` + "\x00", nil, "another account"},
		"cut short":       {`{"parameters":{"record":` + aliceRecord, nil, "cut short"},
		"no record":       {`{"parameters":{}}` + "\x00", nil, "no record"},
		"no JSON":         {"hello\x00", nil, "does not parse"},
		"number":          {`{"parameters":{"record":{"uid":1000,"emailAddress":7}}}` + "\x00", nil, "does not parse"},
		"nothing":         {"", nil, "cut short"},
	} {
		t.Run(name, func(t *testing.T) {
			var call string
			u := &userDB{socket: multiplexerOf(t, func(said string) string { call = said; return tc.reply })}
			got, err := u.look(t.Context(), alice)
			if (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Fatalf("error %v, want %q", err, tc.err)
			}
			if !slices.Equal(got.emails, tc.want) || got.phones != nil {
				t.Errorf("found %+v", got)
			}
			if !strings.Contains(call, `"userName":"alice"`) || !strings.Contains(call, multiplexer) {
				t.Errorf("asked %q", call)
			}
		})
	}
}

func TestUserDBInFolders(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	u := &userDB{socket: filepath.Join(t.TempDir(), "none"), folders: []string{first, second}}
	put := func(dir, name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	put(second, "alice.user", aliceRecord, 0o644)
	put(first, "bob.user", `{"userName":"bob","uid":1001,"emailAddress":"first@example.com"}`, 0o644)
	put(second, "bob.user", `{"userName":"bob","uid":1001,"emailAddress":"second@example.com"}`, 0o644)
	put(first, "open.user", `{"userName":"open","uid":1002,"emailAddress":"eve@example.com"}`, 0o666)
	put(first, "broken.user", `{"userName":`, 0o644)
	for _, tc := range []struct {
		id   mfa.Identity
		want string
		err  string
	}{
		{alice, "alice@example.com", ""},
		{mfa.Identity{Name: "bob", UID: 1001}, "first@example.com", ""},
		{mfa.Identity{Name: "bob", UID: 1009}, "", "another account"},
		{mfa.Identity{Name: "open", UID: 1002}, "", "only root"},
		{mfa.Identity{Name: "broken", UID: 1003}, "", "does not parse"},
		{mfa.Identity{Name: "carol", UID: 1004}, "", ""},
		{mfa.Identity{Name: "../" + filepath.Base(second) + "/alice", UID: 1000}, "", ""},
		{mfa.Identity{Name: ""}, "", ""},
	} {
		got, err := u.look(t.Context(), tc.id)
		if (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%+v: %v, want %q", tc.id, err, tc.err)
		}
		if fmt.Sprint(got.emails) != "["+tc.want+"]" {
			t.Errorf("%+v: found %+v", tc.id, got)
		}
	}
	u.folders = []string{"/nowhere"}
	if _, err := u.look(t.Context(), alice); err == nil || errors.Is(err, errDown) {
		t.Errorf("where there is no userdb: %v", err)
	}
}

func FuzzUserRecord(f *testing.F) {
	f.Add([]byte(`{"parameters":{"record":` + aliceRecord + `}}`))
	f.Add([]byte(`{"error":"io.systemd.UserDatabase.NoRecordFound"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		record, err := ofReply(data)
		if err != nil || record == nil {
			return
		}
		if v, err := ofRecord(record, alice); err == nil && len(v.emails) > 1 {
			t.Errorf("found %+v", v)
		}
	})
}
