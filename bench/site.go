package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mfa/internal/account/record"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/seal"
)

// A site is an mfad of its own with its store on the disk.
type site struct {
	b     *bench
	dir   string // on the disk
	users int
	more  string // settings beyond those of configure
	codes *codes
	cmd   *exec.Cmd // nil: it does not run
	mail  bool      // users are enrolled for mail, not for an app
	store string    // more settings of [store]
	key   string    // file of the key; empty: its own

	profile string // a file: the daemon runs within this program, and writes its profile there
}

// specials are users of a site beyond those who log in again and again.
const specials = 4

func (s *site) denied() int     { return s.users }
func (s *site) guessed() int    { return s.users + 1 }
func (s *site) exempt() int     { return s.users + 2 }
func (s *site) remembered() int { return s.users + 3 }

// newSite makes a site with that many users, who all logged in once: what is remembered
// of them is there. Settings are more lines of mfa.toml.
func (b *bench) newSite(name string, users int, settings ...string) (*site, error) {
	return b.makeSite(&site{b: b, dir: filepath.Join(b.w.disk, name), users: users, more: strings.Join(settings, "\n")})
}

// makeSite makes the folder of s, its key and its store.
func (b *bench) makeSite(s *site) (*site, error) {
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, err
	}
	if err := s.configure(usualSkew); err != nil {
		return nil, err
	}
	// A first start makes the key and the store.
	if err := errors.Join(s.start(), s.stop()); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

// keyFile is where the key is.
func (s *site) keyFile() string { return cmp.Or(s.key, s.path("key")) }

// socket is where the daemon listens; its folder is not on the disk.
func (s *site) socket(name string) string { return filepath.Join(own, filepath.Base(s.dir)+"-"+name) }

// stack returns the PAM line of the module.
func (s *site) stack(args string) string {
	return s.b.w.module + " socket=" + s.socket("pam.sock") + " " + args
}

// usualSkew is totp.skew as it comes.
const usualSkew = 1

// configure writes mfa.toml: as it comes, but for the places of files, and a rule for each
// kind of login.
func (s *site) configure(skew int) error {
	text := fmt.Sprintf(`
[server]
pam_socket = %q
control_socket = %q
[store]
path = %q
%s
[secrets]
key_file = %q
[audit]
file = %q
[totp]
skew = %d
`, s.socket("pam.sock"), s.socket("control.sock"), s.path("store"), s.store, s.keyFile(), s.path("audit.jsonl"), skew)
	text += s.more + fmt.Sprintf(`
[[policy.rule]]
users = [%q]
mode = "off"
[[policy.rule]]
users = [%q]
remember = "always"
[[policy.rule]]
services = ["bench-remembered"]
remember = "always"
`, userName(s.exempt()), userName(s.remembered()))
	return os.WriteFile(s.path("mfa.toml"), []byte(text), 0o600)
}

// outbox sends mails into a folder: where no mail is measured.
func outbox() string {
	return fmt.Sprintf("[email]\ntransport = \"outbox\"\n[email.outbox]\npath = %q", own+"/outbox")
}

// start starts mfad and returns when it says that it is ready.
func (s *site) start() error {
	name := s.socket("notify")
	_ = os.Remove(name)
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer func() { _ = notify.Close() }()
	log, err := os.OpenFile(s.socket("log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(s.b.w.build, "mfad"), "--config", s.path("mfa.toml"))
	if s.profile != "" {
		cmd = exec.Command("/proc/self/exe", s.path("mfa.toml"))
	}
	cmd.Stderr, cmd.Stdout = log, log
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "NOTIFY_SOCKET=" + name, profiled + "=" + s.profile}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd = cmd
	if err := notify.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for {
		n, err := notify.Read(buf)
		if err != nil {
			said, _ := os.ReadFile(s.socket("log"))
			return errors.Join(fmt.Errorf("mfad is not ready: %w\n%s", err, said), s.stop())
		}
		if bytes.Contains(buf[:n], []byte("READY=1")) {
			return nil
		}
	}
}

// stop stops mfad as systemd does.
func (s *site) stop() error {
	if s.cmd == nil {
		return nil
	}
	cmd := s.cmd
	s.cmd = nil
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return cmd.Wait()
}

// enroll writes the files of all users, with their secrets sealed.
func (s *site) enroll() error {
	key, err := seal.LoadFor(s.keyFile(), 0, "")
	if err != nil {
		return err
	}
	errs := make([]error, runtime.NumCPU())
	var next atomic.Int64
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			for n := int(next.Add(1)) - 1; n < s.users+specials && errs[i] == nil; n = int(next.Add(1)) - 1 {
				errs[i] = s.enrollOne(key, n)
			}
		})
	}
	all.Wait()
	unix.Sync() // one for all of them
	return errors.Join(errs...)
}

func (s *site) enrollOne(key *seal.Key, n int) error {
	text, err := s.enrollment(key, n)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.path("store/users"), userName(n)+".toml"), text, 0o600)
}

// enrollment returns the record of user n.
func (s *site) enrollment(key *seal.Key, n int) ([]byte, error) {
	confirmed := time.Now().Add(-24 * time.Hour).UTC().Truncate(time.Second)
	e := mfa.Enrollment{UID: uint32(firstUID + n)}
	if s.mail {
		e.Email = &mfa.Address{Address: userName(n) + "@example.com", Confirmed: confirmed}
	} else {
		e.TOTP = &mfa.TOTPSecret{
			Secret:    key.Seal(secretOf(n), userName(n), "totp.secret"),
			Algorithm: usual.Algorithm, Digits: usual.Digits, Period: mfa.Duration(usual.Period), Confirmed: confirmed,
		}
	}
	return record.EncodeEnrollment(userName(n), e)
}

// fill lets every user log in once, so that what is remembered of them is as large as it
// is anywhere, and keeps a copy of the store. A later login starts from that copy. The
// codes are older than any that is good later, which a larger skew lets through.
func (s *site) fill() error {
	const old, skew = 2, 3
	if err := errors.Join(s.services(), s.configure(skew), s.start()); err != nil {
		return err
	}
	const atOnce = 5000 // so few that their codes are good until the last is in
	for first := 0; first < s.users; first += atOnce {
		var shots []shot
		for n := first; n < min(first+atOnce, s.users); n++ {
			code, err := otp.Code(secretOf(n), step()-old, usual)
			if err != nil {
				return err
			}
			shots = append(shots, shot{"bench-remembered", userName(n), code}) // its state holds a remembered login
		}
		if _, err := s.b.client.all(64, shots); err != nil {
			return err
		}
	}
	return errors.Join(s.stop(), copyState(s.path("store"), s.path("copy")), s.configure(usualSkew))
}

// fresh starts the daemon on the copy that fill kept: nobody has used a code, and nothing
// is in memory.
func (s *site) fresh() error {
	if err := s.stop(); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.path("store"))
	for _, e := range entries {
		if e.Name() != "users" {
			err = errors.Join(err, os.RemoveAll(filepath.Join(s.path("store"), e.Name())))
		}
	}
	if err := errors.Join(err, copyState(s.path("copy"), s.path("store"))); err != nil {
		return err
	}
	unix.Sync()
	s.codes = newCodes(0)
	return s.start()
}

// copyState copies a store but for its enrollments, which no login changes.
func copyState(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(from, path)
		if err = errors.Join(err, relErr); err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.IsDir() && rel == "users":
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(target, 0o700)
		case !d.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
}

// services writes the stacks of this site's logins.
func (s *site) services() error {
	return errors.Join(
		service("bench-ours", s.stack("")),
		service("bench-exempt", s.stack("exempt=success")),
		service("bench-remembered", s.stack("")))
}

// shot is the next login of user n.
func (s *site) shot(service string, n int) (shot, error) {
	code, err := s.codes.next(n)
	return shot{service: service, user: userName(n), answer: code}, err
}

// control runs mfactl.
func (s *site) control(args ...string) error {
	args = append([]string{"--socket", s.socket("control.sock")}, args...)
	return run(filepath.Join(s.b.w.build, "mfactl"), args...)
}

// cpu returns the processor time of the daemon so far.
func (s *site) cpu() (time.Duration, error) { return cpuOf(s.cmd.Process.Pid) }

// cpuOf returns the processor time of a process so far.
func cpuOf(pid int) (time.Duration, error) {
	var t unix.Timespec
	// The clock of another process: clock_getcpuclockid(3).
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
		return 0, fmt.Errorf("read a daemon's processor time: %w", err)
	}
	return time.Duration(t.Nano()), nil
}

// memory returns a figure of the daemon from proc_pid_status(5), in MiB.
func (s *site) memory(field string) float64 { return memoryOfProcess(s.cmd.Process.Pid, field) }

// memoryOfProcess returns a figure of a process from proc_pid_status(5), in MiB.
func memoryOfProcess(pid int, field string) float64 {
	var kib float64
	_, _ = fmt.Sscan(firstField(fmt.Sprintf("/proc/%d/status", pid), field), &kib)
	return kib / 1024
}
