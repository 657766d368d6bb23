package e2e

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	states "mfa/internal/account/record"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/etcd"
	"mfa/internal/store/etcd/etcdtest"
	"mfa/internal/store/local"
)

// movers is how many users move.
const movers = 600

// A host moves into a fleet with its users, and back, while one of them logs in. Mfad is killed
// in the middle of each copying, which is run again. Then each record is as it was, and
// what was used on either side stays used.
func TestHostMoves(t *testing.T) {
	s := newSite(t)
	cluster := etcdtest.Start(t, 1)
	s.set(fmt.Sprintf("store.etcd.endpoints = [%q]", cluster.Endpoints()[0]), `store.etcd.timeout = "10s"`, `log.level = "warn"`)
	s.startDaemon()
	s.stack("sshd", s.passwordThenCode()...)
	s.sshd()
	alice := newAccount(t, "alice")
	_, codes := s.enrollByApp(alice, &clock{})
	s.crowd(t, movers-1)

	for i, to := range []string{store.BackendEtcd, store.BackendLocal} {
		used := codes[4*i : 4*i+3]
		s.good(alice, used[0])
		s.killInMove(to)
		s.good(alice, used[1])
		s.loginInMove(to, alice, used[2])
		if s.tryBackup(alice, used[2]) {
			t.Errorf("a code let in twice while records are copied to %s", to)
		}
		s.set(fmt.Sprintf("store.backend = %q", to))
		s.restartDaemon()
		s.spent(alice, codes[:4*i+3]...)
		s.good(alice, codes[4*i+3])
		s.spent(alice, codes[4*i+3])
		expectSaid(t, s.mustControl("status"), fmt.Sprintf("enrolled users:    %d", movers))
		s.sameRecords(alice.name)
	}
	s.good(alice, codes[8])
}

// crowd enters n users, some of whom are locked.
func (s *site) crowd(t *testing.T, n int) {
	t.Helper()
	var table bytes.Buffer
	table.WriteString("user,email\n")
	names := populate(t, n)
	for _, name := range names {
		fmt.Fprintf(&table, "%s,%s@example.com\n", name, name)
	}
	ok(t, os.WriteFile(s.path("people.csv"), table.Bytes(), 0o600))
	s.mustControl("import", "csv", s.path("people.csv"), "--yes")
	for i := 0; i < n; i += n / 10 {
		s.mustControl("lock", names[i])
	}
}

// migrate begins to copy the records and returns when some are.
func (s *site) migrate(to string) *terminal {
	s.t.Helper()
	c := open(s.t, exec.Command(artefact("mfactl"), "--socket", s.path("run/control.sock"), "migrate", "--to", to))
	if to == store.BackendLocal {
		c.expect(s.t, `\[y/N\] $`)
		c.send("y")
	}
	c.expect(s.t, `copying records: [1-9]\d* of`)
	return c
}

// killInMove kills mfad while it copies the records, and starts it again.
func (s *site) killInMove(to string) {
	s.t.Helper()
	c := s.migrate(to)
	_ = s.stop(syscall.SIGKILL)
	if said, status, _ := c.finish(); status == 0 {
		s.t.Fatalf("it was not killed in the middle:\n%s", said)
	}
	s.startDaemon()
	expectSaid(s.t, s.mustControl("status"), "records move")
}

// loginInMove has a user log in while the records are copied, to their end.
func (s *site) loginInMove(to string, a account, code string) {
	s.t.Helper()
	login := s.begin(a)
	login.expect(s.t, codeOrMenu)
	login.send("m")
	login.pick(s.t, byBackup, "")
	login.expect(s.t, backupPrompt)
	c := s.migrate(to)
	login.send(code)
	login.expectIn(s.t)
	expectSaid(s.t, c.expectStatus(s.t, 0), fmt.Sprintf("The records of %d users were copied and checked.", movers))
}

// sameRecords wants the same enrollments in the store of the host and in that of the fleet, and
// the same states but for the user that logged in since.
func (s *site) sameRecords(but string) {
	s.t.Helper()
	ok(s.t, s.stopDaemon())
	defer s.startDaemon()
	key, err := seal.LoadFor(s.path("key"), os.Geteuid(), "")
	ok(s.t, err)
	keyOf := func(string) (*seal.Key, error) { return key, nil }
	here, err := local.Open(s.path("store"), keyOf)
	ok(s.t, err)
	defer here.Close()
	endpoints := strings.Trim(s.settings["store.etcd.endpoints"], `["]`)
	fleet, err := etcd.Open(s.t.Context(), store.EtcdConfig{Endpoints: []string{endpoints}, Prefix: "/mfa/", Timeout: mfa.Duration(10 * time.Second)},
		etcd.Options{Key: keyOf, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	ok(s.t, err)
	defer fleet.Close()
	for _, kind := range []string{store.Users, store.States} {
		a, b := s.records(here, kind), s.records(fleet, kind)
		if len(a) != len(b) || kind == store.Users && len(a) != movers {
			s.t.Errorf("%s: %d records on the host, and %d in the fleet", kind, len(a), len(b))
		}
		for key, value := range a {
			if !sameRecord(kind, value, b[key]) && key != store.States+but {
				s.t.Errorf("%s on the host and in the fleet:\n%s\n%s", key, value, b[key])
			}
		}
	}
}

// records returns all records of a kind.
func (s *site) records(from store.Store, kind string) map[string][]byte {
	s.t.Helper()
	all := map[string][]byte{}
	ok(s.t, store.Each(s.t.Context(), from, kind, func(it store.Item, err error) error {
		all[it.Key] = bytes.Clone(it.Value)
		return err
	}))
	return all
}

// sameRecord says whether two records of a kind say the same.
func sameRecord(kind string, a, b []byte) bool {
	if kind == store.Users {
		return bytes.Equal(a, b)
	}
	x, errX := states.DecodeState("", a)
	y, errY := states.DecodeState("", b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}
