package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/msteinert/pam/v2"
	"golang.org/x/sys/unix"
)

// A directory is what testdata/directory.c answers from: a source for NSS, and a
// second one, "mfalast", that answers when it is asked that it knows nobody.
type directory struct {
	s           *site
	table, mode string // paths
}

// newDirectory builds both sources, lets the daemon find them, and fills the
// directory. NSS does not ask it before use.
func newDirectory(t *testing.T, s *site, lines ...string) *directory {
	t.Helper()
	d := &directory{s: s, table: s.path("directory"), mode: s.path("mode")}
	for name, mode := range map[string]string{"mfatest": d.mode, "mfalast": s.path("never")} {
		out, err := exec.Command("gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-DNAME="+name,
			fmt.Sprintf("-DTABLE=%q", d.table), fmt.Sprintf("-DMODE=%q", mode),
			"-o", s.path("libnss_"+name+".so.2"), "testdata/directory.c").CombinedOutput()
		if err != nil {
			t.Fatalf("gcc: %v\n%s", err, out)
		}
	}
	ok(t, os.WriteFile(d.table, []byte(strings.Join(lines, "\n")+"\n"), 0o644))
	d.is("up")
	s.env = append(s.env, "LD_LIBRARY_PATH="+s.dir)
	conf, err := os.ReadFile("/etc/nsswitch.conf")
	ok(t, err)
	t.Cleanup(func() { ok(t, os.WriteFile("/etc/nsswitch.conf", conf, 0o644)) })
	return d
}

// use makes NSS ask these sources, from the next start of the daemon on.
func (d *directory) use(sources string) {
	d.s.t.Helper()
	text := fmt.Sprintf("passwd: %s\nshadow: files\ngroup: %s\n", sources, sources)
	ok(d.s.t, os.WriteFile("/etc/nsswitch.conf", []byte(text), 0o644))
}

// is sets how the directory behaves.
func (d *directory) is(mode string) {
	d.s.t.Helper()
	ok(d.s.t, os.WriteFile(d.mode+".new", []byte(mode), 0o644))
	ok(d.s.t, os.Rename(d.mode+".new", d.mode))
}

// attempt goes through pam_authenticate, and gives up at the first question. It
// returns what was said, and what PAM returned.
func attempt(service, user string) (said string, err error) {
	tx, err := pam.StartFunc(service, user, func(style pam.Style, text string) (string, error) {
		said += text + "\n"
		if style == pam.PromptEchoOn || style == pam.PromptEchoOff {
			return "", errors.New("nobody answers")
		}
		return "", nil
	})
	if err == nil {
		err = errors.Join(tx.Authenticate(0), tx.End())
	}
	return said, err
}

// isMember is somebody whom only the directory knows.
func isMember(name string, uid int) account {
	return account{name: name, uid: uid, home: "/", email: name + "@example.com"}
}

// lastReason returns why the last login of that name ended as it did.
func (s *site) lastReason(name string) string {
	s.t.Helper()
	found := s.events(account{name: name}, "login")
	if len(found) == 0 {
		return ""
	}
	return fmt.Sprint(found[len(found)-1]["outcome"], ": ", found[len(found)-1]["reason"])
}

// ways are services, one for each way to be let in unasked, and one of those who
// are asked.
var ways = []string{"way-off", "way-optional", "way-grace", "way-asked"}

// letsStrangersIn makes a site with those services.
func letsStrangersIn(t *testing.T) *site {
	t.Helper()
	s := withRules(t,
		`services = ["way-off"], mode = "off"`,
		`services = ["way-optional"], mode = "optional", methods = ["backup"]`,
		`services = ["way-grace"], enroll_grace = "1h"`,
	)
	for _, service := range ways {
		s.stack(service, s.codeOnly("exempt=success")...)
	}
	return s
}

// A directory that does not answer has no strangers, whatever errno it says so
// with, and whoever answers behind it.
func TestDirectoryThatIsDownMakesNobodyAStranger(t *testing.T) {
	s := letsStrangersIn(t)
	d := newDirectory(t, s, "user member 9101")
	member := isMember("member", 9101)
	for _, order := range []string{"files mfatest", "files mfatest mfalast", "mfatest files", "files mfatest [NOTFOUND=return] mfalast"} {
		d.use(order)
		if s.log == nil {
			s.startDaemon()
			s.mustControl("enroll", "member", "--email", member.email, "--no-message")
		} else {
			s.restartDaemon()
		}
		if _, err := attempt("way-off", "member"); err != nil {
			t.Fatalf("%s: a member is not known: %v", order, err)
		}
		for _, mode := range []string{"enoent", "eio", "eagain", "etimedout"} {
			d.is(mode)
			for _, service := range ways {
				said, err := attempt(service, "member")
				if !errors.Is(err, pam.ErrAuthinfoUnavail) || !strings.Contains(said, "cannot be checked") {
					t.Errorf("%s, %s, %s: %v, said %q", order, mode, service, err, said)
				}
				if why := s.lastReason("member"); !strings.Contains(why, "unavailable: account look-up failed") || !strings.Contains(why, "NSS cannot say") {
					t.Errorf("%s, %s, %s: the audit file has %q", order, mode, service, why)
				}
			}
			if out, status := s.control("lock", "member"); status == 0 || status == 3 || !strings.Contains(out, "NSS cannot say") {
				t.Errorf("%s, %s: mfactl lock: status %d, %s", order, mode, status, out)
			}
			if x := s.explain(member, "--service", "way-off"); x.Result != "unavailable" || !strings.Contains(x.Text, "account look-up failed") {
				t.Errorf("%s, %s: explained as %+v", order, mode, x)
			}
			c := s.own(member, "enroll")
			if said := c.expectOut(t); !strings.Contains(said, "cannot be checked") {
				t.Errorf("%s, %s: mfactl enroll says %q", order, mode, said)
			}
		}
		d.is("up")
	}
}

// Somebody whom nobody knows is not let in by what lets others in, and sees what
// others see where those are asked.
func TestStrangerIsNeverLetIn(t *testing.T) {
	s := letsStrangersIn(t)
	d := newDirectory(t, s, "user member 9101")
	d.use("files mfatest")
	s.startDaemon()
	d.is("none")
	for _, name := range []string{"member", "ghost"} {
		for _, service := range ways {
			said, err := attempt(service, name)
			if err == nil {
				t.Errorf("%s is let in by %s", name, service)
			}
			if why := s.lastReason(name); strings.Contains(why, "account look-up failed") {
				t.Errorf("%s, %s: %s", name, service, why)
			}
			if service == "way-off" && !errors.Is(err, pam.ErrAuthinfoUnavail) {
				t.Errorf("%s, %s: %v", name, service, err)
			}
			if service == "way-asked" && !aCode.MatchString(said) {
				t.Errorf("%s is not asked: %q", name, said)
			}
		}
		if x := s.explain(account{name: name}, "--service", "way-off"); x.Result != "unavailable" || !strings.Contains(x.Text, "no such account") {
			t.Errorf("explained as %+v", x)
		}
	}
}

// aCode is what is said of a code when it is asked for.
var aCode = regexp.MustCompile(`A code (was|is being) sent to`)

// A local user in a group of the directory is no "not a member" while that is
// down, though another source answers behind it.
func TestGroupOfADirectoryThatIsDown(t *testing.T) {
	s := withRules(t, `groups = ["contractors"], mode = "required"`, `mode = "off"`)
	s.stack("work", s.codeOnly("exempt=success")...)
	alice := newAccount(t, "alice")
	d := newDirectory(t, s, "group contractors 9300 "+alice.name)
	d.use("files mfatest mfalast")
	s.startDaemon()
	s.mustControl("enroll", alice.name, "--email", alice.email, "--no-message")
	if said, err := attempt("work", alice.name); err == nil || !aCode.MatchString(said) {
		t.Fatalf("a member is not asked: %v, %q", err, said)
	}
	for _, mode := range []string{"enoent", "eio", "eagain", "etimedout"} {
		d.is(mode)
		if said, err := attempt("work", alice.name); !errors.Is(err, pam.ErrAuthinfoUnavail) {
			t.Errorf("%s: %v, said %q, %s", mode, err, said, s.lastReason(alice.name))
		}
	}
	d.is("none")
	if said, err := attempt("work", alice.name); err != nil {
		t.Errorf("who is in no group: %v, said %q", err, said)
	}
}

// A directory that hangs holds up those it is asked for, not beyond the time of a
// login, and nobody else.
func TestSlowDirectory(t *testing.T) {
	const waiting = 20
	s := letsStrangersIn(t)
	s.settings["server.login_timeout"] = `"10s"`
	alice := newAccount(t, "alice")
	d := newDirectory(t, s, "user slow-member 9102", "user member 9101")
	d.use("files mfatest")
	s.startDaemon()
	d.is("slow")
	began := time.Now()
	ends := make(chan error, waiting)
	for i := range waiting {
		name := "slow-member"
		if i%2 == 1 {
			name = fmt.Sprint("slow-", i)
		}
		go func() {
			_, err := attempt("way-off", name)
			ends <- err
		}()
	}
	eventually(t, "logins that wait", func() bool { return s.underWay() == waiting })
	for _, name := range []string{alice.name, "member"} {
		if said, err := attempt("way-off", name); err != nil {
			t.Errorf("%s: %v, said %q", name, err, said)
		}
	}
	if n := s.underWay(); n != waiting {
		t.Fatalf("only %d logins wait: the machine was too slow for this test", n)
	}
	for range waiting {
		if err := <-ends; !errors.Is(err, pam.ErrAuthinfoUnavail) {
			t.Errorf("a login that waited: %v", err)
		}
	}
	if took := time.Since(began); took > patience {
		t.Errorf("they waited %v", took)
	}
	d.is("up")
	eventually(t, "the member is known again", func() bool {
		_, err := attempt("way-off", "slow-member")
		return err == nil
	})
}

// underWay returns how many logins are.
func (s *site) underWay() int {
	s.t.Helper()
	var st struct{ Logins int }
	ok(s.t, json.Unmarshal([]byte(s.mustControl("status", "--json")), &st))
	return st.Logins
}

// With its descriptors used up, the daemon cannot read /etc/passwd. Nobody is a
// stranger for that, though the next source answers.
func TestDescriptorsUsedUpMakeNobodyAStranger(t *testing.T) {
	s := letsStrangersIn(t)
	alice := newAccount(t, "alice")
	d := newDirectory(t, s)
	d.use("files mfalast")
	s.startDaemon()
	for _, name := range []string{alice.name, "ghost"} { // glibc loads its sources
		_, _ = attempt("way-off", name)
	}
	var st struct{ PID int }
	ok(t, json.Unmarshal([]byte(s.mustControl("status", "--json")), &st))
	var usual unix.Rlimit
	ok(t, unix.Prlimit(st.PID, unix.RLIMIT_NOFILE, nil, &usual))
	eventually(t, "the daemon closes what the first logins opened", func() bool {
		before := freeDescriptor(t, st.PID)
		time.Sleep(50 * time.Millisecond)
		return freeDescriptor(t, st.PID) == before
	})
	for _, service := range ways {
		s.throttled(service, st.PID, usual.Max)
		said, err := attempt(service, alice.name)
		ok(t, unix.Prlimit(st.PID, unix.RLIMIT_NOFILE, &usual, nil))
		if !errors.Is(err, pam.ErrAuthinfoUnavail) {
			t.Errorf("%s: %v, said %q", service, err, said)
		}
		if why := s.lastReason(alice.name); !strings.Contains(why, "account look-up failed") || !strings.Contains(why, "too many open files") {
			t.Errorf("%s: the audit file has %q", service, why)
		}
		s.stack(service, s.codeOnly("exempt=success")...)
	}
	if _, err := attempt("way-off", alice.name); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// throttled puts itself between the module, in the stack of a service, and the daemon,
// for one login. Once the daemon has its connection, it is left no descriptor more, and
// only then hears what the login is.
func (s *site) throttled(service string, pid int, most uint64) {
	s.t.Helper()
	between := s.path("run/" + service + ".sock")
	l, err := net.Listen("unix", between)
	ok(s.t, err)
	s.stack(service, "auth required "+s.modulePath+" socket="+between+" exempt=success")
	go func() {
		defer l.Close()
		module, err := l.Accept()
		if err != nil {
			return
		}
		defer module.Close()
		free := freeDescriptor(s.t, pid)
		daemon, err := net.Dial("unix", s.path("run/pam.sock"))
		if err != nil {
			return
		}
		defer daemon.Close()
		for freeDescriptor(s.t, pid) == free { // until it has accepted
			time.Sleep(time.Millisecond)
		}
		n := uint64(freeDescriptor(s.t, pid))
		if unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: most}, nil) != nil {
			return // the module hears of no verdict, and the audit file has none
		}
		go func() { _, _ = io.Copy(daemon, module) }()
		_, _ = io.Copy(module, daemon)
	}()
}

// freeDescriptor returns the lowest that a process has not open.
func freeDescriptor(t testing.TB, pid int) int {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	ok(t, err)
	var numbers []int
	for _, e := range open {
		n, err := strconv.Atoi(e.Name())
		ok(t, err)
		numbers = append(numbers, n)
	}
	for n := 0; ; n++ {
		if !slices.Contains(numbers, n) {
			return n
		}
	}
}

// The table of what means whom.
func TestWhatMeansWhom(t *testing.T) {
	s := newSite(t)
	alice := newAccount(t, "alice")
	d := newDirectory(t, s,
		"user jd 9200", "user jd.long 9200", `user EXAMPLE\jd 9200`, "user jd@example.com 9200", "user JD 9200",
		`user EXAMPLE\kim 9201`, "user kim 9201",
		"user back/slash 9202",
		"odd twisted 9203 "+alice.name, "odd lost 9204 nobody-has-this-name",
		"user zero 0",
	)
	d.use("files mfatest")
	s.startDaemon()
	const none, refused = "none", "refused"
	for _, tc := range []struct{ name, want string }{
		{alice.name, alice.name},
		{strings.ToUpper(alice.name), none},
		{alice.name + ".", none},
		{alice.name + " ", none},
		{" " + alice.name, none},
		{"\t" + alice.name, none},
		{alice.name + "\n", none},
		{alice.name + "\x00", none},
		{alice.name + "\x00root", none},
		{"root\x00" + alice.name, none},
		{`EXAMPLE\` + alice.name, none},
		{alice.name + "@example.com", none},
		{"../" + alice.name, none},
		{"./" + alice.name, none},
		{alice.name + "/", none},
		{strconv.Itoa(alice.uid), none},
		{"\x1b[2J" + alice.name, none},
		{alice.name + "é", none},
		{"\xff\xfe", none},
		{strings.Repeat("a", 256), none},
		{strings.Repeat("a", 257), none},
		{strings.Repeat("a", 20000), none},
		{"+", none},
		{"-", none},
		{"*", none},

		{"jd", "jd"},
		{"jd.long", "jd"},
		{`EXAMPLE\jd`, "jd"},
		{"jd@example.com", "jd"},
		{"JD", "jd"},
		{"Jd", none},
		{"jd.", none},
		{"kim", `EXAMPLE\kim`},
		{`EXAMPLE\kim`, `EXAMPLE\kim`},
		{`example\kim`, none},
		{"back/slash", "back/slash"},

		{"root", "root"},
		{"zero", "root"},
		{"twisted", refused},
		{"lost", refused},
	} {
		x := s.explained(tc.name)
		got := none
		switch {
		case x.Account:
			got = x.User
		case x.Result == "unavailable" && strings.Contains(fmt.Sprint(x.Problems), "contradict each other"):
			got = refused
		case x.Result == "unavailable":
			got = fmt.Sprint(x.Problems)
		}
		if got != tc.want {
			t.Errorf("%.60q means %s, want %s", tc.name, got, tc.want)
		}
	}
	// The empty name is no name of a user, on any way in.
	if status := s.post("/v1/explain", map[string]string{"user": "", "service": "sshd"}, nil); status != http.StatusBadRequest {
		t.Errorf("the empty name: status %d", status)
	}
}

// An explanation is what the daemon says of a login.
type explanation struct {
	User, Result, Text string
	UID                *uint32
	Account            bool
	Problems           []string
}

// explained asks the daemon itself, as no program takes each of these names.
func (s *site) explained(name string) (x explanation) {
	s.t.Helper()
	switch status := s.post("/v1/explain", map[string]string{"user": name, "service": "sshd"}, &x); status {
	case http.StatusOK, http.StatusBadRequest: // which is for what can be no name
	default:
		s.t.Fatalf("%.60q: status %d", name, status)
	}
	return x
}

// post asks the control socket as root, and returns the status of the answer.
func (s *site) post(path string, body, into any) int {
	s.t.Helper()
	text, err := json.Marshal(body)
	ok(s.t, err)
	client := http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", s.path("run/control.sock"))
		},
	}}
	resp, err := client.Post("http://mfad"+path, "application/json", strings.NewReader(string(text)))
	ok(s.t, err)
	defer func() { _ = resp.Body.Close() }()
	if into != nil && resp.StatusCode == http.StatusOK {
		ok(s.t, json.NewDecoder(resp.Body).Decode(into))
	}
	return resp.StatusCode
}

// alias gives an account another name, as /etc/passwd can.
func alias(t *testing.T, a account, name string) account {
	t.Helper()
	ok(t, appendFile("/etc/shadow", fmt.Sprintf("%s:%s:19000:0:99999:7:::", name, passwordHash)))
	ok(t, appendFile("/etc/passwd", fmt.Sprintf("%s:x:%d:%d::%s:/bin/sh", name, a.uid, a.uid, a.home)))
	other := a
	other.name = name
	return other
}

// twoNames makes a site for password and code, and an account with two names.
func twoNames(t *testing.T, settings ...string) (s *site, jd, long account) {
	t.Helper()
	s, jd = nothingYet(t, settings...)
	return s, jd, alias(t, jd, jd.name+".long")
}

// A login by the account's other name, with its password, meets the factor that was
// set up for the account.
func TestTwoNamesAreOneAccount(t *testing.T) {
	s, jd, long := twoNames(t)
	s.mustControl("enroll", jd.name, "--email", jd.email, "--no-message")
	s.login(long, 1)
	s.login(jd, 2)
	if _, err := os.Stat(s.path("store/users/" + long.name + ".toml")); err == nil {
		t.Error("the other name has a record of its own")
	}
	for by, to := range map[account]account{jd: long, long: jd} {
		s.mustControl("lock", by.name)
		expectSaid(t, s.expectDenied(to), "locked")
		expectSaid(t, s.expectDenied(by), "locked")
		s.mustControl("unlock", to.name)
	}
	if out := s.mustControl("show", long.name); !strings.Contains(out, jd.name) {
		t.Errorf("show: %s", out)
	}
	s.mustControl("reset", "--yes", long.name)
	if out, status := s.control("show", jd.name); status != 3 {
		t.Errorf("after a reset by the other name: status %d, %s", status, out)
	}
}

// A rule is about the account, by whichever of its names.
func TestTwoNamesInRules(t *testing.T) {
	s := withRules(t, `users = ["placeholder"], mode = "required"`, `mode = "off"`)
	jd := newAccount(t, "jd")
	long := alias(t, jd, jd.name+".long")
	s.startDaemon()
	s.mustControl("enroll", jd.name, "--email", jd.email, "--no-message")
	s.sshd()
	n := 0
	for _, named := range []account{jd, long} {
		s.settings["policy.rule"] = fmt.Sprintf("[{users = [%q], mode = 'required'}, {mode = 'off'}]", named.name)
		s.reload()
		for _, who := range []account{jd, long} {
			n++
			s.expectAsked(who, n)
		}
	}
}

// Choosing to have no second factor is the account's choice, and so is the end
// of it.
func TestTwoNamesOptOut(t *testing.T) {
	s, jd, long := twoNames(t, `policy.mode = "optional"`, "policy.opt_out = true")
	c := s.begin(long)
	c.pick(t, offerSkip, "")
	c.expectIn(t)
	s.expectUnasked(jd)
	s.expectUnasked(long)
	s.mustControl("reset", "--yes", jd.name)
	c = s.begin(long)
	c.expect(t, choicePrompt)
	c.close()
	s.expectLetters(jd, 0)
}

// A record from before, under the other name, makes nobody a newcomer.
func TestRecordUnderAnotherNameRefuses(t *testing.T) {
	s, jd, long := twoNames(t, `policy.mode = "optional"`)
	ok(t, s.stopDaemon())
	record := fmt.Sprintf("version = 1\nuid = %d\n[email]\naddress = %q\n", jd.uid, jd.email)
	ok(t, os.WriteFile(filepath.Join(s.path("store/users"), long.name+".toml"), []byte(record), 0o600))
	s.startDaemon()
	for _, a := range []account{jd, long} {
		expectSaid(t, s.expectDenied(a), "cannot be checked")
		why := s.lastReason(jd.name)
		expectSaid(t, why, "unavailable", long.name, "mfactl reset "+jd.name)
		x := s.explained(a.name)
		if x.Result != "unavailable" {
			t.Errorf("explained as %+v", x)
		}
		expectSaid(t, fmt.Sprint(x.Problems), long.name, "mfactl reset "+jd.name)
	}
	out := s.mustControl("users")
	expectSaid(t, out, long.name, "is "+jd.name)
	c := s.own(jd, "enroll")
	expectSaid(t, c.expectOut(t), "cannot be checked")

	s.mustControl("reset", "--yes", jd.name)
	s.expectUnasked(jd)
	if _, err := os.Stat(s.path("store/users/" + long.name + ".toml")); err == nil {
		t.Error("the record is still there")
	}
	s.mustControl("enroll", jd.name, "--email", jd.email, "--no-message")
	s.login(long, 1)
}

// A lock holds under the next name of an account that is renamed, also where nothing is
// enrolled.
func TestLockOfARenamedAccount(t *testing.T) {
	s, alice := nothingYet(t, `policy.mode = "optional"`)
	s.begin(alice).expectIn(t)
	s.mustControl("lock", alice.name)
	s.begin(alice).expectOut(t)
	renamed := alice
	renamed.name = alice.name + "new"
	for _, name := range []string{"/etc/passwd", "/etc/shadow"} {
		info, err := os.Stat(name)
		ok(t, err)
		text, err := os.ReadFile(name)
		ok(t, err)
		t.Cleanup(func() { ok(t, os.WriteFile(name, text, info.Mode())) })
		ok(t, os.WriteFile(name, []byte(strings.ReplaceAll(string(text), "\n"+alice.name+":", "\n"+renamed.name+":")), info.Mode()))
	}
	s.begin(renamed).expectOut(t)
}
