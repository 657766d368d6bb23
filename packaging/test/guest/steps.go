package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
)

const outbox = "/var/lib/mfa/outbox"

// config is the administrator's mfa.toml. The limits are wide, for many logins
// come within a minute, and the steps of the app short.
const config = `[code]
resend_after = "0s"
max_sends = 100
[totp]
period = "15s"
[email]
transport = "outbox"
[email.outbox]
path = "` + outbox + `"
`

// people are the users of the system; bob has no address.
var people = []string{"alice", "bob", "carol", "dave", "erin"}

func before(m *memory) {
	for _, user := range people {
		addUser(user)
	}
	eventually("sshd listens", listens)
	check(byPassword("alice"))
	m.Logins = hashes("/etc/pam.d", "/etc/pam.conf", "/etc/ssh", "/etc/nsswitch.conf", "/etc/security", "/usr/share/pam-configs")
	m.Before = hashes("/etc", "/usr", "/var/lib", "/var/log", "/opt", "/srv", "/root")
}

func addUser(user string) {
	run("useradd", "-m", "-s", "/bin/sh", user)
	run("sh", "-c", "echo '"+user+":"+password+"' | chpasswd")
}

// hashes returns the files under the folders, by path.
func hashes(folders ...string) map[string]string {
	all := map[string]string{}
	for _, folder := range folders {
		check(filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil
			}
			if err != nil {
				return err
			}
			all[path] = d.Type().String()
			if d.Type().IsRegular() {
				data, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				sum := sha256.Sum256(data)
				all[path] = hex.EncodeToString(sum[:])
			}
			return nil
		}))
	}
	return all
}

// same fails unless both are alike but for what is expected to differ.
func same(was, is map[string]string, expected string) {
	re := regexp.MustCompile(expected)
	for _, path := range slices.Sorted(maps.Keys(merged(was, is))) {
		if was[path] != is[path] && !re.MatchString(path) {
			failf("%s was %q and is %q", path, was[path], is[path])
		}
	}
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func install(m *memory) {
	expectNextStep(run("dpkg", "-i", home+"old.deb"))
	same(m.Logins, hashes("/etc/pam.d", "/etc/pam.conf", "/etc/ssh", "/etc/nsswitch.conf", "/etc/security", "/usr/share/pam-configs"),
		`^/usr/share/pam-configs/mfa$`)
	check(byPassword("alice"))
	for _, unit := range units {
		run("systemctl", "is-enabled", unit)
		eventually(unit+" runs", func() bool { return active(unit) })
	}
	contains(run("mfad", "--check"), "good")
	contains(run("mfactl", "status"), oldVersion())
}

// expectNextStep wants the package to say what comes next, in commands that there are.
func expectNextStep(said string) {
	contains(said, "no login has changed")
	contains(said, toml)
	for _, verb := range []string{"send-test", "enroll", "setup", "doctor"} {
		contains(said, "mfactl "+verb)
		run("mfactl", verb, "--help")
	}
}

func oldVersion() string { return strings.TrimSpace(read(home + "old.version")) }
func newVersion() string { return strings.TrimSpace(read(home + "new.version")) }

func confined(*memory) {
	pid := daemonPID()
	status := read("/proc/" + pid + "/status")
	contains(status, "CapEff:\t0000000000000000")
	contains(status, "NoNewPrivs:\t1")
	contains(status, "Seccomp:\t2")
	uid := strings.TrimSpace(run("id", "-u", "mfa"))
	contains(status, "Uid:\t"+strings.Join([]string{uid, uid, uid, uid}, "\t"))
	if got := run("stat", "-c", "%U:%a", "/run/mfa", "/var/lib/mfa", "/var/lib/mfa/key", "/var/log/mfa"); got != "root:755\nmfa:700\nmfa:600\nmfa:750\n" {
		failf("owners and modes:\n%s", got)
	}
	exposed(1.2)
}

// exposed holds what systemd-analyze thinks of the service to a bound.
func exposed(most float64) {
	said := run("systemd-analyze", "security", "--no-pager", "mfad.service")
	found := regexp.MustCompile(`Overall exposure level for mfad.service: ([0-9.]+)`).FindStringSubmatch(said)
	if found == nil {
		failf("no exposure in:\n%s", said)
	}
	if level, err := strconv.ParseFloat(found[1], 64); err != nil || level > most {
		failf("exposure %s is above %v:\n%s", found[1], most, said)
	}
}

func daemonPID() string {
	return strings.TrimSpace(run("systemctl", "show", "-p", "MainPID", "--value", "mfad.service"))
}

// switchOn is what the administrator types: a setup that nobody proves takes itself
// back, and one that is proven stays.
func switchOn(m *memory) {
	write(toml, config)
	contains(run("mfad", "--check"), "good")
	run("systemctl", "restart", "mfad.service")
	run("mfactl", "enroll", "alice", "--no-message", "--email", "alice@example.com")

	said, err := attempt("mfactl", "setup", "sshd", "--yes", "--confirm-within", "3s")
	if err == nil {
		failf("nobody proved it, and it stayed:\n%s", said)
	}
	same(m.Logins, hashes("/etc/pam.d", "/etc/pam.conf", "/etc/ssh", "/etc/nsswitch.conf", "/etc/security", "/usr/share/pam-configs"),
		`^/usr/share/pam-configs/mfa$`)
	eventually("the password alone lets in again", func() bool { return byPassword("alice") == nil })

	type result struct {
		said string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		said, err := attempt("mfactl", "setup", "sshd", "--yes", "--confirm-within", "2m")
		done <- result{said, err}
	}()
	eventually("logins ask for a code", func() bool {
		return strings.Contains(read("/etc/pam.d/sshd"), "pam_mfa.so") && byPassword("alice") != nil
	})
	check(loginByEmail("alice"))
	if r := <-done; r.err != nil {
		failf("a login proved it, and setup says %v:\n%s", r.err, r.said)
	}
	contains(run("mfactl", "doctor", "sshd"), "sshd")
}

func byEmail(*memory) {
	for _, user := range []string{"alice", "carol", "dave", "erin"} {
		run("mfactl", "enroll", user, "--email", user+"@example.com")
	}
	check(loginByEmail("alice"))
	if byPassword("alice") == nil {
		failf("the password alone lets in")
	}
}

// tryNext waits for the next prompt, or the end.
func (l *login) tryNext() error {
	select {
	case <-l.prompts:
		return nil
	case err := <-l.ended:
		return fmt.Errorf("ended: %w", err)
	case <-time.After(patience):
		return fmt.Errorf("nothing more")
	}
}

var uri = regexp.MustCompile(`otpauth://totp/\S+`)

func byApp(m *memory) {
	l := begin("bob")
	menu := l.expect("Choice")
	l.send(numberOf(menu, "Authenticator app"))
	m.App = uri.FindString(l.expect("otpauth://"))
	l.send(m.code())
	l.expect("Backup codes")
	l.send("")
	l.in()
	loginByApp(m)
	l = begin("bob")
	l.expect("Code")
	l.send(m.codeAt(m.Step)) // used already
	l.expect("Code")
	l.leave()
}

// numberOf returns the number of an item of a menu.
func numberOf(menu, item string) string {
	found := regexp.MustCompile(`(?m)(\d)\S*\s+` + item).FindStringSubmatch(menu)
	if found == nil {
		failf("no %q in %q", item, menu)
	}
	return found[1]
}

func loginByApp(m *memory) {
	l := begin("bob")
	l.expect("Code")
	l.send(m.code())
	l.in()
}

const period = 15 // seconds, of bob's app

// code returns a code of bob's app that was not used before. One step ahead of
// the clock is as good, so this seldom waits.
func (m *memory) code() string {
	eventually("a step of the app that is not used", func() bool { return time.Now().Unix()/period+1 > m.Step })
	m.Step = max(m.Step+1, time.Now().Unix()/period)
	return m.codeAt(m.Step)
}

func (m *memory) codeAt(step int64) string { return m.codeOf(period, step) }

// codeOf returns a code of bob's app as if its period were so many seconds.
func (m *memory) codeOf(seconds uint, step int64) string {
	key, err := otp.NewKeyFromURL(m.App)
	check(err)
	code, err := totp.GenerateCodeCustom(key.Secret(), time.Unix(step*int64(seconds), 0), totp.ValidateOpts{
		Period: seconds, Digits: key.Digits(), Algorithm: key.Algorithm(),
	})
	check(err)
	return code
}

// bySystemdUser logs in a user who is in no file of /etc: the daemon, for all its
// confinement, must find who nss-systemd finds.
func bySystemdUser(*memory) {
	check(os.MkdirAll("/etc/userdb", 0o755))
	check(os.MkdirAll("/home/frank", 0o700))
	check(os.Chown("/home/frank", 4711, 4711))
	write("/etc/userdb/frank.user", `{"userName":"frank","uid":4711,"gid":4711,"homeDirectory":"/home/frank","shell":"/bin/sh"}`)
	write("/etc/userdb/frank.group", `{"groupName":"frank","gid":4711}`)
	check(os.Symlink("frank.user", "/etc/userdb/4711.user"))
	check(os.Symlink("frank.group", "/etc/userdb/4711.group"))
	contains(run("getent", "passwd", "frank"), "4711")
	run("mfactl", "enroll", "frank", "--email", "frank@example.com")
	contains(run("mfactl", "show", "frank"), "f***k@example.com")
	run("mfactl", "reset", "--yes", "frank")
	for _, name := range []string{"frank.user", "frank.group", "4711.user", "4711.group"} {
		check(os.Remove("/etc/userdb/" + name))
	}
	check(os.Remove("/etc/userdb"))
	check(os.Remove("/home/frank"))
}

// editedByRoot replaces an enrollment as an editor that runs as root does.
func editedByRoot(*memory) {
	path := "/var/lib/mfa/users/carol.toml"
	text := read(path)
	check(os.Remove(path))
	check(os.WriteFile(path, []byte(text), 0o644))
	check(loginByEmail("carol"))
	check(os.Chown(path, 0, 0)) // the login has confirmed the address, so mfad wrote the file
	check(os.Chmod(path, 0o600))
	l := begin("carol")
	l.out()
	eventually("the log says how to mend it", func() bool {
		return strings.Contains(run("journalctl", "-u", "mfad.service"), "run chown --reference=/var/lib/mfa/users "+path)
	})
	run("chown", "--reference=/var/lib/mfa/users", path)
	check(loginByEmail("carol"))
}

// keyAsCredential takes the key off the disk.
func keyAsCredential(*memory) {
	run("systemd-creds", "encrypt", "--with-key=host", "--name=key", "/var/lib/mfa/key", "/etc/mfa/key.cred")
	run("mv", "/var/lib/mfa/key", "/root/key")
	check(os.MkdirAll("/etc/systemd/system/mfad.service.d", 0o755))
	write("/etc/systemd/system/mfad.service.d/key.conf", "[Service]\nLoadCredentialEncrypted=key:/etc/mfa/key.cred\n")
	write(toml, "secrets.key_file = \"credential:key\"\n"+config)
	run("systemctl", "daemon-reload")
	said := run("mfad", "--check")
	contains(said, "good")
	contains(said, "secrets.key_file was not looked at")
	run("systemctl", "restart", "mfad.service")
	if _, err := os.Stat("/var/lib/mfa/key"); err == nil {
		failf("a key was made anew")
	}
	check(loginByEmail("carol"))
	check(os.Remove("/root/key"))
}

// restart lets one login wait for its answer and two others come while the daemon
// is away. None is lost.
func restart(*memory) {
	l := beginByEmail("alice")
	was := daemonPID()
	done := make(chan string)
	go func() {
		said, err := attempt("systemctl", "restart", "mfad.service")
		done <- fmt.Sprint(said, err)
	}()
	eventually("the daemon is stopping", func() bool {
		said, _ := attempt("systemctl", "is-active", "mfad.service")
		return strings.TrimSpace(said) == "deactivating"
	})
	already := len(mails("carol@example.com"))
	second := begin("carol")
	second.quiet(2 * time.Second)
	l.send(l.code)
	l.in()
	if said := <-done; said != "<nil>" {
		failf("systemctl restart: %s", said)
	}
	second.send(mailed("carol@example.com", second.expect("Code"), already))
	second.in()
	if daemonPID() == was {
		failf("it did not restart")
	}

	// And while it is stopped altogether, the socket starts it.
	run("systemctl", "kill", "--signal=KILL", "mfad.service")
	check(loginByEmail("carol"))
}

// traffic logs users in without an end, until stop is closed.
type traffic struct {
	stop   chan struct{}
	wg     sync.WaitGroup
	mu     sync.Mutex // guards count and failed
	count  int
	failed []string
}

func startTraffic(users ...string) *traffic {
	t := &traffic{stop: make(chan struct{})}
	for _, user := range users {
		t.wg.Go(func() {
			for {
				select {
				case <-t.stop:
					return
				default:
				}
				var err error
				if fault := try(step{run: func(*memory) { err = loginByEmail(user) }}, nil); fault != nil {
					err = fault
				}
				t.mu.Lock()
				t.count++
				if err != nil {
					t.failed = append(t.failed, user+": "+err.Error())
				}
				t.mu.Unlock()
			}
		})
	}
	return t
}

// end stops the traffic and fails if a login did.
func (t *traffic) end() int {
	close(t.stop)
	t.wg.Wait()
	if len(t.failed) > 0 {
		failf("%d of %d logins failed: %s", len(t.failed), t.count, strings.Join(t.failed, "; "))
	}
	return t.count
}

func (t *traffic) soFar() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count
}

func upgrade(*memory) {
	pid := daemonPID()
	t := startTraffic("alice", "carol", "dave", "erin")
	eventually("logins before the upgrade", func() bool { return t.soFar() >= 4 })
	said := run("dpkg", "-i", home+"new.deb")
	seen := t.soFar()
	eventually("logins after the upgrade", func() bool { return t.soFar() >= seen+8 })
	fmt.Printf("guest: %d logins, %d of them before the upgrade was done, none lost\n", t.end(), seen)
	if strings.Contains(said, "mfad did not start") || daemonPID() == pid {
		failf("not restarted:\n%s", said)
	}
	contains(run("mfactl", "status"), newVersion())
	contains(read(toml), "credential:key") // the administrator's stays

	run("dpkg", "-i", home+"old.deb") // back to the version before
	contains(run("mfactl", "status"), oldVersion())
	check(loginByEmail("alice"))
	run("dpkg", "-i", home+"new.deb")
}

// upgradeWithBadConfig sees the daemon that runs go on when a new one would not start.
func upgradeWithBadConfig(*memory) {
	good := read(toml)
	write(toml, "nonsense = true\n"+good)
	pid := daemonPID()
	contains(run("dpkg", "-i", home+"new.deb"), "the new mfad refuses the configuration")
	if daemonPID() != pid {
		failf("restarted into a configuration that is refused")
	}
	check(loginByEmail("alice"))
	write(toml, good)
}

func afterReboot(m *memory) {
	eventually("sshd listens", listens)
	check(loginByEmail("alice"))
	loginByApp(m)
	contains(run("mfactl", "status"), newVersion())
	for _, field := range []string{`"MFA_USER":"alice"`, `"MFA_OUTCOME":"accepted"`, `"MFA_SERVICE":"sshd"`} {
		contains(run("journalctl", "-u", "mfad.service", "MFA_EVENT=login", "-o", "json"), field)
	}
}

func lock(*memory) {
	for range 2 { // the module allows three tries a login, the lock comes after five
		l := begin("dave")
		l.expect("Code")
		for l.isAsked("000000") {
		}
		l.leave()
	}
	l := begin("dave")
	l.expect("Recovery code")
	l.send("")
	l.out()
	contains(run("mfactl", "show", "dave"), "locked")
	run("mfactl", "unlock", "dave")
	check(loginByEmail("dave"))

	run("mfactl", "lock", "dave")
	l = begin("dave")
	l.out()
	run("mfactl", "unlock", "dave")
	check(loginByEmail("dave"))
}

// endLogins ends a login that runs, through the real logind.
func endLogins(*memory) {
	already := len(mails("erin@example.com"))
	l := beginFor("erin", stay)
	l.send(mailed("erin@example.com", l.expect("Code"), already))
	eventually("erin is in", func() bool { _, err := os.Stat("/tmp/stays"); return err == nil })
	contains(run("loginctl", "list-sessions"), "erin")
	run("mfactl", "sessions", "revoke", "erin", "--end-logins", "--yes")
	l.in() // stay says nil once it was ended
	check(loginByEmail("erin"))
}

// isAsked sends an answer and tells whether another prompt comes.
func (l *login) isAsked(answer string) bool {
	l.send(answer)
	return l.tryNext() == nil
}
