package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/wire"
)

// A way is a request that an administrator may make and nobody else.
type way struct {
	route, path, body string
	code              int  // of the answer to an administrator
	rootOnly          bool // members of the group may not
}

// adminWays tries each route of administrators, about the user nobody, who has a
// second factor. A route that is new needs a line here, in ownWays or in selfWays.
var adminWays = []way{
	{"GET /v1/status", "/v1/status", "", 200, false},
	{"PUT /v1/users/{name}/email", "/v1/users/nobody/email", `{"address": "eve@example.com"}`, 200, false},
	{"PUT /v1/users/{name}/phone", "/v1/users/nobody/phone", `{"address": "+17891234567"}`, 200, false},
	{"PUT /v1/users/{name}/language", "/v1/users/nobody/language", `{"language": "de"}`, 200, false},
	{"POST /v1/users/{name}/totp", "/v1/users/nobody/totp", "", 200, false},
	{"POST /v1/users/{name}/hotp", "/v1/users/nobody/hotp", "{}", 200, false},
	{"PUT /v1/tokens/{serial}", "/v1/tokens/1234", `{"secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}`, 200, false},
	{"POST /v1/users/{name}/lock", "/v1/users/nobody/lock", "{}", 200, false},
	{"POST /v1/users/{name}/unlock", "/v1/users/nobody/unlock", "", 200, false},
	{"POST /v1/reload", "/v1/reload", "", 409, false},
	{"GET /v1/directory", "/v1/directory", "", 200, false},
	{"GET /v1/fleet", "/v1/fleet", "", 200, false},
	{"POST /v1/explain", "/v1/explain", `{"user": "nobody", "service": "sshd"}`, 200, false},
	{"POST /v1/send-test", "/v1/send-test", `{"method": "email", "to": "eve@example.com"}`, 200, false},
	{"POST /v1/users/{name}/reset", "/v1/users/nobody/reset", "", 200, false},
	{"GET /v1/users", "/v1/users", "", 200, false},
	{"POST /v1/users/{name}/confirm-resend", "/v1/users/nobody/confirm-resend", "", 409, false}, // no address waits
	{"POST /v1/users/{name}/import", "/v1/users/nobody/import", `{"uid": 65534}`, 400, false},   // of nothing
	{"POST /v1/contacts", "/v1/contacts", `{"lines": [{"user": "nobody", "email": "eve@example.com"}]}`, 200, false},
	{"GET /v1/users/{name}/record", "/v1/users/nobody/record", "", 200, true},
	{"PUT /v1/users/{name}/record", "/v1/users/nobody/record", "{}", 400, true},
	{"GET /v1/backup", "/v1/backup", "", 200, true},
	{"POST /v1/restore", "/v1/restore", "{}", 400, true},
	{"POST /v1/key/rotate", "/v1/key/rotate", "", 200, false},
	{"POST /v1/migrate/{backend}", "/v1/migrate/etcd", "", 200, true},
	{"GET /v1/sessions", "/v1/sessions", "", 200, false},
	{"DELETE /v1/sessions", "/v1/sessions", "", 200, false},
}

// ownWays are open to administrators, and to everybody about themselves; see
// TestWhoMayRevoke.
var ownWays = []way{
	{"GET /v1/users/{name}", "/v1/users/nobody", "", 200, false},
	{"GET /v1/users/{name}/sessions", "/v1/users/nobody/sessions", "", 200, false},
	{"DELETE /v1/users/{name}/sessions", "/v1/users/nobody/sessions", "", 200, false},
	{"DELETE /v1/users/{name}/sessions/{session}", "/v1/users/nobody/sessions/none", "", 404, false}, // no such one
}

// selfWays are open to everybody, about themselves, in a conversation.
var selfWays = []way{{"POST /v1/self/{verb}", "/v1/self/" + wire.SelfEnroll, "", 101, false}}

// allWays are those to every route.
var allWays = slices.Concat(adminWays, ownWays, selfWays)

// method returns that of the request.
func (w way) method() string {
	method, _, _ := strings.Cut(w.route, " ")
	return method
}

// codeFor returns the status of the answer to uid, one of peers.
func (w way) codeFor(uid uint32) int {
	if uid == 0 || uid == memberUID && !w.rootOnly ||
		uid == nobodyUID && slices.Contains(ownWays, w) || slices.Contains(selfWays, w) {
		return w.code
	}
	return http.StatusForbidden
}

// Accounts that every Debian system has stand in for the kinds of peers.
const (
	memberUID  = 1     // daemon: of the group that may administer
	otherUID   = 2     // bin: somebody else
	unknownUID = 54321 // no account
)

// peers are the kinds of them.
var peers = map[string]uint32{
	"root": 0, "a member of the group": memberUID, "the user": nobodyUID,
	"another user": otherUID, "an unknown uid": unknownUID,
}

// peerDesk serves the sockets of a Control on which nobody has a second factor
// and the group daemon administers.
func peerDesk(t *testing.T) (socket string, records account.Records) {
	t.Helper()
	s, records, _ := selfDesk(t, everything)
	peerControl(s)
	return serveControl(t, s, s.Server(context.Background())), records
}

// peerControl makes of s a Control that knows the peers.
func peerControl(s *Control) {
	uids := map[string]uint32{"root": 0, "daemon": memberUID, "bin": otherUID, "nobody": nobodyUID}
	s.Lookup = func(_ context.Context, name string) (mfa.Identity, error) {
		uid, ok := uids[name]
		if !ok {
			return mfa.Identity{}, nss.ErrNoAccount
		}
		return mfa.Identity{Name: name, UID: uid}, nil
	}
	now := s.Now
	s.Now = func() Snapshot {
		snapshot := now()
		snapshot.AdminGroup = "daemon"
		return snapshot
	}
	s.Status = func(context.Context) wire.Status { return wire.Status{StoreOK: true} }
	s.SendTest = fakeSendTest
	s.RotateKey = func(context.Context, func(int), func(string, error)) error { return nil }
	s.Migrate = func(context.Context, string, func(int), func(account.Migrated)) error { return nil }
}

// serveControl serves the socket of s that it returns until the test ends.
func serveControl(t *testing.T, s *Control, srv *http.Server) (socket string) {
	t.Helper()
	socket = filepath.Join(openDir(t), "control.sock")
	l, err := Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(s.Gate(l)) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
		s.Wait()
	})
	return socket
}

// routeNames collects the patterns of routes.
type routeNames []string

func (r *routeNames) HandleFunc(pattern string, _ func(http.ResponseWriter, *http.Request)) {
	*r = append(*r, pattern)
}

// TestEveryRouteIsTried fails when a route is served that nobody tries as every
// kind of peer.
func TestEveryRouteIsTried(t *testing.T) {
	var served routeNames
	(&Control{}).routes(&served)
	var tried []string
	for _, w := range allWays {
		tried = append(tried, w.route)
	}
	for _, route := range served {
		if !slices.Contains(tried, route) {
			t.Errorf("%s is served: add a line to adminWays, ownWays or selfWays", route)
		}
	}
	for _, route := range tried {
		if !slices.Contains(served, route) {
			t.Errorf("%s is tried and not served", route)
		}
	}
	for _, route := range wire.Routes {
		if !slices.Contains(served, string(route)) {
			t.Errorf("%s is in wire.Routes and not served", route)
		}
	}
	if len(served) != len(wire.Routes) {
		t.Errorf("%d routes are served, and wire.Routes has %d", len(served), len(wire.Routes))
	}
}

// Each request works with what counted at its beginning: a reload that comes in
// between does not mix two configurations.
func TestOneSnapshotEach(t *testing.T) {
	s, _, _ := selfDesk(t, everything)
	peerControl(s)
	var taken atomic.Int32
	now := s.Now
	s.Now = func() Snapshot {
		taken.Add(1)
		return now()
	}
	socket := serveControl(t, s, s.Server(context.Background()))
	once := func(w way, uid uint32, ask func()) {
		taken.Store(0)
		ask()
		if n := taken.Load(); n != 1 {
			t.Errorf("%s as uid %d: %d snapshots were taken", w.route, uid, n)
		}
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", socket)
	}}}
	for _, w := range slices.Concat(adminWays, ownWays) {
		once(w, 0, func() {
			req, err := http.NewRequest(w.method(), "http://mfad"+w.path, strings.NewReader(w.body))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Errorf("%s: %v", w.route, err)
			}
		})
	}
	for _, uid := range []uint32{memberUID, nobodyUID} { // who is held to the group
		once(adminWays[0], uid, func() { callLines(t, socket, uid, "GET", "/v1/status", "") })
		once(ownWays[0], uid, func() { callLines(t, socket, uid, "GET", ownWays[0].path, "") })
		once(selfWays[0], uid, func() { callLines(t, socket, uid, "CONVERSE", selfWays[0].path, "") })
	}
}

// contents is all that a store holds.
func contents(t *testing.T, records account.Records) string {
	t.Helper()
	keys, err := records.S.Keys(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, key := range keys {
		it, err := records.S.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s = %s\n", key, it.Value)
	}
	return b.String()
}

// Root and members of the group may administer. Nobody else may anything: not
// about others, not about themselves, and nothing changes.
func TestWaysOfAdministrators(t *testing.T) {
	for _, w := range adminWays {
		t.Run(w.route, func(t *testing.T) {
			t.Parallel()
			for peer, uid := range peers {
				socket, records := peerDesk(t)
				before := contents(t, records)
				want := w.codeFor(uid)
				if code, out := call(t, socket, uid, w.method(), w.path, w.body); code != want {
					t.Errorf("%s: %d %v, want %d", peer, code, out, want)
				}
				if after := contents(t, records); want == http.StatusForbidden && after != before {
					t.Errorf("%s changed\n%sto\n%s", peer, before, after)
				}
			}
		})
	}
}

// Self-service is about the peer itself, whoever that is: without the second factor that
// nobody has, no peer changes anything of nobody's, and an unknown uid nothing
// at all. Who is asked for a code is the user it is about.
func TestSelfServiceAsEveryPeer(t *testing.T) {
	for _, verb := range []string{wire.SelfEnroll, wire.SelfPrefer + "?method=totp", wire.SelfOptOut, wire.SelfBackupCodes, "reset"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			for peer, tc := range map[string]struct {
				uid  uint32
				asks bool // for nobody's code
			}{
				"root":                  {0, false},
				"a member of the group": {memberUID, false},
				"the user":              {nobodyUID, verb != "reset"},
				"another user":          {otherUID, false},
				"an unknown uid":        {unknownUID, false},
			} {
				socket, records := peerDesk(t)
				before := contents(t, records)
				code, out := call(t, socket, tc.uid, "CONVERSE", "/v1/self/"+verb, "")
				said := fmt.Sprint(out)
				if code != http.StatusSwitchingProtocols {
					t.Errorf("%s: %d %s", peer, code, said)
				}
				if asks := strings.Contains(said, "authenticator app shows"); asks != tc.asks {
					t.Errorf("%s: is asked for the user's code: %v, want %v: %s", peer, asks, tc.asks, said)
				}
				if tc.uid == unknownUID && !strings.Contains(said, "cannot be checked right now") {
					t.Errorf("%s hears %s", peer, said)
				}
				after, err := records.S.Get(t.Context(), store.Users+"nobody")
				if err != nil || !strings.Contains(before, string(after.Value)) {
					t.Errorf("%s changed nobody's enrollment to %s, %v", peer, after.Value, err)
				}
				if tc.uid == unknownUID && contents(t, records) != before {
					t.Errorf("%s changed %s", peer, contents(t, records))
				}
			}
		})
	}
}

// Self-service without the switch of protocols is no way around the proof.
func TestSelfServiceWithoutConversation(t *testing.T) {
	socket, records := peerDesk(t)
	before := contents(t, records)
	for _, uid := range []uint32{0, nobodyUID, otherUID, unknownUID} {
		if code, out := call(t, socket, uid, "POST", "/v1/self/"+wire.SelfOptOut, ""); code != http.StatusUpgradeRequired {
			t.Errorf("uid %d: %d %v", uid, code, out)
		}
	}
	if after := contents(t, records); after != before {
		t.Errorf("changed to %s", after)
	}
}

// converse holds a conversation up to its end or the first thing that is asked
// for, and prints what was said: the caller goes away without an answer.
func converse(socket, path string) error {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	req, err := http.NewRequest(http.MethodPost, "http://mfad"+path, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", wire.Upgrade)
	if err := req.Write(c); err != nil {
		return err
	}
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, req)
	if err != nil {
		return err
	}
	fmt.Println(resp.StatusCode)
	for resp.StatusCode == http.StatusSwitchingProtocols {
		f, err := wire.Read(r)
		if err != nil {
			return err
		}
		fmt.Printf("%c %q\n", f.Type, f.Payload)
		if f.Type == wire.Done || f.Type == wire.Prompt {
			break
		}
	}
	return nil
}
