package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/challenge"
	"mfa/internal/deliver"
	"mfa/internal/enroll"
	"mfa/internal/host/nss"
	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store/storetest"
	"mfa/internal/wire"
)

// A relay takes all mail but that to refused@.
type relay struct{}

func (relay) Send(_ context.Context, m mfa.Message) error {
	if strings.HasPrefix(m.To, "refused@") {
		return fmt.Errorf("no such mailbox: %w", deliver.ErrPermanent)
	}
	return nil
}

// controlDesk runs a control server over a store in memory.
func controlDesk(t *testing.T, adminGroup string) (path string, records account.Records) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(testWriter{t}, nil))
	records = account.Records{S: &storetest.Memory{}}
	au, err := audit.Open(audit.Config{}, log)
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.Create(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	mail := deliver.NewQueue(relay{}, time.Minute)
	t.Cleanup(func() { mail.Close(context.Background()) })
	accounts := account.New(account.Config{}, account.Deps{Records: records, Key: key, Mail: mail, Audit: au, Log: log, Now: time.Now})
	asker := challenge.New(challenge.Config{}, challenge.Deps{Accounts: accounts, Key: key, Mail: mail, Audit: au, Log: log, Now: time.Now})
	engine := login.New(login.Config{}, login.Deps{Accounts: accounts, Asker: asker, Audit: au, Log: log, Now: time.Now})
	service := &enroll.Service{Accounts: accounts, Audit: au, Log: log, Now: time.Now}
	s := &Control{
		Now: func() Snapshot {
			return Snapshot{Engine: engine, Enroll: service, Accounts: accounts, AdminGroup: adminGroup}
		},
		Lookup: func(_ context.Context, name string) (mfa.Identity, error) {
			switch name {
			case "alice":
				return mfa.Identity{Name: "alice", UID: 1000}, nil
			case "nobody":
				return mfa.Identity{Name: "nobody", UID: nobodyUID}, nil
			case "broken":
				return mfa.Identity{}, errors.New("ldap is down")
			}
			return mfa.Identity{}, nss.ErrNoAccount
		},
		Status:   func(context.Context) wire.Status { return wire.Status{Version: "1", StoreOK: true} },
		SendTest: fakeSendTest,
		Log:      log,
	}
	dir, err := os.MkdirTemp("", "control") // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "control.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	srv := s.Server(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(s.Gate(l)) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return path, records
}

// callEnv makes a child of the test a caller: it holds the request to make.
const callEnv = "MFA_TEST_CALL"

func TestMain(m *testing.M) {
	if call := os.Getenv(callEnv); call != "" {
		os.Exit(caller(strings.SplitN(call, "\n", 4)))
	}
	os.Exit(m.Run())
}

// caller makes the request socket, method, path, body and prints the answer.
func caller(call []string) int {
	if call[1] == "MOB" {
		return mob(call)
	}
	if call[1] == "CONVERSE" {
		if err := converse(call[0], call[2]); err != nil {
			fmt.Println(err)
			return 1
		}
		return 0
	}
	c := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", call[0])
	}}}
	req, err := http.NewRequest(call[1], "http://mfad"+call[2], strings.NewReader(call[3]))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	resp, err := c.Do(req)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode)
	if _, err := io.Copy(os.Stdout, resp.Body); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// call makes a request as uid, from a process of its own: credentials of a
// socket are those of the process that connects.
func call(t *testing.T, socket string, uid uint32, method, path, body string) (int, map[string]any) {
	t.Helper()
	lines := callLines(t, socket, uid, method, path, body)
	code, err := strconv.Atoi(lines[0])
	if err != nil {
		t.Fatal(err)
	}
	rest := strings.Join(lines[1:], "\n")
	var out map[string]any
	if err := json.NewDecoder(strings.NewReader(rest)).Decode(&out); err != nil {
		out = map[string]any{"error": rest}
	}
	return code, out
}

// callLines is call for an answer as it came: the status, and the lines.
func callLines(t *testing.T, socket string, uid uint32, method, path, body string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = []string{callEnv + "=" + strings.Join([]string{socket, method, path, body}, "\n"), "GORACE=atexit_sleep_ms=0"}
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s as uid %d: %v\n%s", method, path, uid, err, text)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func TestControlAsRoot(t *testing.T) {
	path, records := controlDesk(t, "")
	for _, step := range []struct {
		method, path, body string
		code               int
		key                string
		want               any
	}{
		{"GET", "/v1/status", "", 200, "store_ok", true},
		{"GET", "/v1/users/alice", "", 404, "error", `user "alice" is not enrolled`},
		{"GET", "/v1/users/nobody-here", "", 404, "error", `no account named "nobody-here" on this machine`},
		{"PUT", "/v1/users/alice/email", `{"address": "alice@example.com"}`, 200, "email", "a***e@example.com"},
		{"PUT", "/v1/users/alice/email", `{"address": "not one"}`, 400, "error", `"not one": That is not an address like alice@example.com.`},
		{"PUT", "/v1/users/alice/email", `{"mail": "alice@example.com"}`, 400, "error", `read request: json: unknown field "mail"`},
		{"PUT", "/v1/users/alice/email", ``, 400, "error", `read request: EOF`},
		{"GET", "/v1/users/alice", "", 200, "email_added_by", "root"},
		{"GET", "/v1/users/broken", "", 500, "error", "ldap is down"},
		{"POST", "/v1/users/alice/unlock", "", 200, "was_locked", false},
		{"POST", "/v1/users/gone/reset", "", 404, "error", `no account named "gone" on this machine`},
		{"POST", "/v1/users/alice/reset", "", 200, "was_enrolled", true},
		{"GET", "/v1/users/alice", "", 404, "error", `user "alice" is not enrolled`},
	} {
		code, out := call(t, path, 0, step.method, step.path, step.body)
		if code != step.code || out[step.key] != step.want {
			t.Errorf("%s %s: %d %v, want %d %s = %v", step.method, step.path, code, out, step.code, step.key, step.want)
		}
	}
	keys, err := records.S.Keys(t.Context(), "")
	if err != nil || strings.Join(keys, " ") != "state/alice state/gone" { // that there was a reset
		t.Errorf("left in the store: %q %v", keys, err)
	}
}

// A deleted account leaves its enrollment behind; reset clears it all the same.
func TestResetOfAnAccountThatIsGone(t *testing.T) {
	path, records := controlDesk(t, "")
	err := records.UpdateEnrollment(t.Context(), "gone", func(en *mfa.Enrollment) error {
		*en = mfa.Enrollment{UID: 1, Email: &mfa.Address{Address: "gone@example.com"}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if code, out := call(t, path, 0, "POST", "/v1/users/gone/reset", ""); code != 200 || out["was_enrolled"] != true {
		t.Errorf("%d %v", code, out)
	}
}

// Every way in, as a caller who may not: nothing is done.
func TestControlAsSomebodyElse(t *testing.T) {
	path, records := controlDesk(t, "mfa-admin")
	for _, way := range [][3]string{
		{"GET", "/v1/status"},
		{"GET", "/v1/users/alice"},
		{"PUT", "/v1/users/alice/email", `{"address": "eve@example.com"}`},
		{"PUT", "/v1/users/nobody/email", `{"address": "eve@example.com"}`},
		{"POST", "/v1/users/alice/unlock"},
		{"POST", "/v1/users/alice/reset"},
		{"POST", "/v1/send-test", `{"method": "email", "to": "eve@example.com"}`},
		{"POST", "/v1/explain", `{"user": "alice", "service": "sshd"}`},
	} {
		if code, out := call(t, path, 65534, way[0], way[1], way[2]); code != 403 {
			t.Errorf("%s %s: %d %v", way[0], way[1], code, out)
		}
	}
	if keys, err := records.S.Keys(t.Context(), ""); err != nil || len(keys) != 0 {
		t.Errorf("stored: %q %v", keys, err)
	}
}

// A member of the group may; nogroup is the group of nobody on Debian.
func TestControlAsMemberOfTheGroup(t *testing.T) {
	path, _ := controlDesk(t, "nogroup")
	if code, out := call(t, path, 65534, "GET", "/v1/status", ""); code != 200 {
		t.Errorf("%d %v", code, out)
	}
}
