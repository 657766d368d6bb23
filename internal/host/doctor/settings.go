package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/BurntSushi/toml"

	"mfa/internal/config"
	"mfa/internal/deliver/mail"
	"mfa/internal/deliver/smtp"
	"mfa/internal/host/rights"
	"mfa/internal/seal"
	"mfa/internal/store/local"
	"mfa/internal/wire"
)

// extra is the part of mfa.toml that is read even if config refuses the file.
type extra struct {
	Policy struct {
		Rule []struct {
			Name        string   `toml:"name"`
			Users       []string `toml:"users"`
			Groups      []string `toml:"groups"`
			Services    []string `toml:"services"`
			FirstFactor string   `toml:"first_factor"`
			Mode        string   `toml:"mode"`
		} `toml:"rule"`
	} `toml:"policy"`
	Server struct {
		TrustedUsers []string `toml:"trusted_users"`
	} `toml:"server"`
	Lockout struct {
		ForcePasswordChange bool `toml:"force_password_change"`
	} `toml:"lockout"`
	SMS smsPlace `toml:"sms"`
}

// config reads mfa.toml; if it is refused the defaults stand for the rest of the
// examination.
func (e *exam) config() {
	e.cfg = config.Default()
	cfg, err := config.Load(e.path(e.Config))
	if data, rerr := os.ReadFile(e.path(e.Config)); rerr == nil {
		_, _ = toml.Decode(string(data), &e.extra) // what is wrong with it Load says
	}
	if err != nil {
		e.add(Finding{
			Error, "config", e.Config, wire.ProblemOf(err),
			"mfad does not start with it; one that runs goes on with what it had.", "mfad --check --config " + e.Config,
		})
		return
	}
	e.cfg, e.known = cfg, true
	e.ok("config", e.Config, "is understood")
	if !e.live() {
		return
	}
	for _, x := range cfg.Exposed() {
		e.add(Finding{Warning, "secret-file", x.Key, x.What(), "Whoever has an account here can send messages, or read what is looked up, in this machine's name.", x.Mend()})
	}
	if err := FilesProblem(cfg, e.Config); err != nil {
		e.add(Finding{Error, "config-files", e.Config, wire.ProblemOf(err), "mfad does not start with it.", "mfad --check --config " + e.Config})
	}
}

// FilesProblem returns what keeps a daemon with the configuration cfg, read from path, from opening
// that file, the audit file, or the files by which mails are written, and messages sent.
func FilesProblem(cfg config.Config, path string) error {
	host, _ := os.Hostname()
	return errors.Join(cfg.Access(path), rights.As(rights.OwnerOf(cfg.Store.Path), func() error {
		email, err := smtp.New(cfg.Email, smtp.Options{Host: host})
		if err == nil {
			err = email.Close()
		}
		_, templates := mail.New(cfg.Email)
		return errors.Join(err, templates, secretsProblem(cfg.SMS))
	}))
}

// StartAgain is the command that starts a daemon after failures: systemd counts them and
// refuses a plain start (systemd.unit(5), StartLimitBurst=).
const StartAgain = "systemctl reset-failed mfad.socket mfad.service; systemctl start mfad.socket mfad.service"

// daemon asks mfad for its status.
func (e *exam) daemon(ctx context.Context) {
	if !e.live() {
		return
	}
	st, err := e.Status(ctx)
	if err != nil {
		e.add(Finding{
			Error, "daemon", "mfad", "does not answer" + strings.TrimPrefix(": "+err.Error(), ": "+wire.ErrUnreachable.Error()),
			refusesAll,
			"mfad --check; " + StartAgain + "; journalctl -u mfad",
		})
		return
	}
	e.status = &st
	if e.known {
		for _, key := range config.NeedRestart(st.Fixed, e.cfg.Fixed()) {
			e.add(Finding{
				Warning, "restart-needed", e.Config, key + " is not what mfad runs with",
				"A reload does not change it.", "systemctl restart mfad",
			})
		}
	}
	e.ok("daemon", "mfad", fmt.Sprintf("runs as process %d, version %s", st.PID, st.Version))
	switch {
	case st.StoreOK:
	case st.StoreFull:
		e.add(Finding{
			Error, "store", "mfad", "has no room to write: " + st.Problem,
			"Logins whose decision cannot be written are refused, codes may not go out, and setups and changes may fail. " +
				"What is written still counts: locks too.",
			"make room on that file system; see also journalctl -u mfad",
		})
	default:
		mend := "see journalctl -u mfad; make room on the disk, or mend the file it names"
		if e.isFleet() {
			mend = "do what it says, and what is said of etcd here; then mfactl doctor"
		}
		refuses := refusesAll
		if st.Offline != nil && st.Offline.Since != nil {
			refuses = "Every login that needs a second factor is refused, but those that this host decides without etcd."
		}
		e.add(Finding{Error, "store", "mfad", "cannot use its store: " + st.Problem, refuses, mend})
	}
	e.aside(st)
	e.offline(st.Offline)
	if st.Version != e.Version {
		e.add(Finding{
			Warning, "daemon-version", "mfad", "is version " + st.Version + ", mfactl is " + e.Version,
			"One of them may not understand the other.", "systemctl restart mfad",
		})
	}
}

// offline tells how it stands with logins without etcd; nil: there are none.
func (e *exam) offline(o *wire.Offline) {
	switch {
	case o == nil:
	case o.Old:
		e.add(Finding{
			Warning, "offline", "mfad", "keeps users for the time without etcd who are not let in then",
			"The mfad before this one knew of locks or used codes that it could not write to its disk. Until etcd is reached, nothing that is kept is believed.",
			"see why etcd cannot be reached, and whether the disk has room: journalctl -u mfad",
		})
	case o.Since != nil:
		e.add(Finding{
			Warning, "offline", "mfad", fmt.Sprintf("decides logins without etcd since %s, until %s", o.Since.Local().Format(time.DateTime), o.Until.Local().Format(time.DateTime)),
			fmt.Sprintf("Only the %d users who are kept on this host are let in, by authenticator app or backup code.", o.Kept), "see why etcd cannot be reached: journalctl -u mfad",
		})
	}
}

// aside tells of what does not work beside the logins, which go on.
func (e *exam) aside(st wire.Status) {
	if st.AuditProblem != "" {
		e.add(Finding{
			Error, "audit-file", "mfad", "does not write its audit file: " + st.AuditProblem,
			"Logins go on, and only the system's log has them.", "do what it says; see also journalctl -u mfad",
		})
	}
	if st.MetricsProblem != "" {
		e.add(Finding{
			Warning, "metrics", "mfad", "serves no metrics: " + st.MetricsProblem,
			"Logins go on; it tries again every ten seconds. Any user here can take an address that nobody has.", "see who has it: ss -ltnp; or set another metrics.listen, and systemctl restart mfad",
		})
	}
}

// sockets looks at the two sockets and at their folders, as pam_mfa does.
func (e *exam) sockets(context.Context) {
	if !e.live() {
		return
	}
	for _, path := range []string{e.cfg.Server.PAMSocket, e.cfg.Server.ControlSocket} {
		if e.socket(path) {
			e.ok("socket", path, "is there, in a folder that only root can change")
		}
	}
}

func (e *exam) socket(path string) bool {
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	if err != nil {
		e.add(Finding{Error, "socket-folder", dir, fmt.Sprintf("cannot be looked at: %v", err), "Nobody reaches mfad.", "systemctl restart mfad.socket mfad.service"})
		return false
	}
	if uid := ownerOf(info); uid != 0 {
		e.add(Finding{
			Error, "socket-folder", dir, fmt.Sprintf("belongs to uid %d", uid),
			"That user could answer in mfad's place; pam_mfa therefore refuses every login.", "chown root " + dir,
		})
		return false
	}
	if perm := info.Mode().Perm(); perm&0o022 != 0 {
		e.add(Finding{
			Error, "socket-folder", dir, fmt.Sprintf("has mode %04o", perm),
			"Others could answer in mfad's place; pam_mfa therefore refuses every login.", "chmod go-w " + dir,
		})
		return false
	} else if perm&0o001 == 0 {
		e.add(Finding{
			Warning, "socket-folder", dir, fmt.Sprintf("has mode %04o", perm),
			"Users cannot manage their own second factor, and screen lockers cannot ask.", "chmod 0755 " + dir,
		})
	}
	info, err = os.Lstat(path)
	switch {
	case err != nil:
		e.add(Finding{Error, "socket", path, "there is no socket", "Nobody reaches mfad.", "systemctl restart mfad.socket mfad.service"})
	case info.Mode()&fs.ModeSocket == 0:
		e.add(Finding{Error, "socket", path, "is not a socket", "Nobody reaches mfad.", "rm " + path + "; systemctl restart mfad.socket mfad.service"})
	case info.Mode().Perm()&0o002 == 0:
		e.add(Finding{
			Warning, "socket", path, fmt.Sprintf("has mode %04o", info.Mode().Perm()),
			"Only root reaches mfad: sudo and sshd do, users' own mfactl and screen lockers do not.", "chmod 0666 " + path,
		})
	default:
		return true
	}
	return false
}

func ownerOf(info fs.FileInfo) uint32 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Uid
	}
	return 0
}

// daemonUser is the account that the package makes for mfad (sysusers.d(5)).
const daemonUser = "mfa"

// daemonUID returns the uid that mfad runs as: that of its process, and while it does not
// run that of the package's account; root's if there is none.
func (e *exam) daemonUID() uint32 {
	if e.status != nil {
		if info, err := os.Stat(fmt.Sprintf("/proc/%d", e.status.PID)); err == nil {
			return ownerOf(info)
		}
	}
	return e.uids()[daemonUser]
}

// storage looks at the folder of the store and at the key.
func (e *exam) storage(context.Context) {
	if !e.known {
		return
	}
	dir := e.cfg.Store.Path
	info, err := os.Stat(e.path(dir))
	if errors.Is(err, fs.ErrNotExist) && e.isFleet() {
		e.key()
		return
	}
	if errors.Is(err, fs.ErrNotExist) {
		e.add(Finding{
			Warning, "store-folder", dir, "is not there", "Nobody is enrolled; mfad makes it at its first start.", "systemctl start mfad",
		})
		return
	}
	if err != nil {
		e.add(Finding{Error, "store-folder", dir, err.Error(), "mfad cannot read who is enrolled.", "make it a folder that mfad can read"})
		return
	}
	foreign := ownerOf(info) != 0 && ownerOf(info) != e.daemonUID()
	refused := foreign
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		sev, why := Warning, "Others can see who is enrolled."
		if perm&0o022 != 0 {
			refused = true
			sev, why = Error, "Others could make themselves a second factor; mfad refuses to start."
		}
		e.add(Finding{sev, "store-folder", dir, fmt.Sprintf("has mode %04o", perm), why, "chmod 0700 " + dir})
	}
	if uid := ownerOf(info); foreign {
		e.add(Finding{
			Error, "store-folder", dir, fmt.Sprintf("belongs to uid %d, who is neither root nor mfad", uid),
			"That user could make anybody a second factor.", fmt.Sprintf("chown -R %d %s", e.daemonUID(), dir),
		})
	}
	e.key()
	if refused {
		return // that is mended first
	}
	if err := StateProblem(e.cfg, e.Root); err != nil {
		mend := "restore what it names from a backup; where there is none: systemctl stop mfad.socket mfad.service; mfad --new-state; " + StartAgain
		if errors.Is(err, fs.ErrPermission) {
			mend = "do what it says; then " + StartAgain
		}
		e.add(Finding{
			Error, "state", dir, wire.ProblemOf(err), "mfad does not start, and every login that needs a second factor is refused.", mend,
		})
	}
}

// StateProblem returns what keeps a daemon that does not run from opening its store below
// root, or nil: a database or a key that is lost, damaged, or of another store.
func StateProblem(cfg config.Config, root string) error {
	dir, keyFile := filepath.Join(root, cfg.Store.Path), filepath.Join(root, cfg.Secrets.KeyFile)
	if cfg.Store.Backend != "local" {
		return nil
	}
	uid := rights.OwnerOf(dir)
	return rights.As(uid, func() error { return openProblem(cfg, dir, keyFile, uid) })
}

// openProblem is StateProblem for the store and the key at those paths, of a daemon with that uid.
func openProblem(cfg config.Config, dir, keyFile string, uid int) error {
	if err := local.MovedAway(dir); err != nil {
		return err
	}
	if _, err := os.Stat(dir); err != nil || !filepath.IsAbs(cfg.Secrets.KeyFile) {
		return local.CheckState(dir)
	}
	if err := seal.Check(keyFile, uid); errors.Is(err, fs.ErrNotExist) && local.Enrolled(dir) {
		return errors.Join(local.CheckState(dir), fmt.Errorf("%w; there are enrollments, and what is secret in them is sealed with it", err))
	} else if err != nil {
		return local.CheckState(dir) // of the key there is a finding
	}
	return local.Verify(dir, func(known string) (*seal.Key, error) { return seal.LoadFor(keyFile, uid, known) })
}

// key looks at the key file, if the key is a file.
func (e *exam) key() {
	path := e.cfg.Secrets.KeyFile
	if !filepath.IsAbs(path) {
		e.ok("key-file", path, "is not a file that can be looked at")
		return
	}
	info, err := os.Lstat(e.path(path))
	add := func(what, mend string) {
		e.add(Finding{Error, "key-file", path, what, "With it, what is sealed in the store can be read; without it, nothing that is enrolled counts.", mend})
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		mend := "restore it from a backup; for a store that was never used mfad makes one; where it is lost: mfad --new-state"
		if e.isFleet() {
			mend = "copy it from another host of the fleet"
		}
		add("is not there", mend)
	case err != nil:
		add(err.Error(), "make it readable for mfad")
	case !info.Mode().IsRegular():
		add("is not a plain file", "put the file itself there")
	case info.Mode().Perm()&0o077 != 0:
		add(fmt.Sprintf("has mode %04o", info.Mode().Perm()), "chmod 0600 "+path)
	case ownerOf(info) != 0 && ownerOf(info) != e.daemonUID():
		add(fmt.Sprintf("belongs to uid %d, who is neither root nor mfad", ownerOf(info)), fmt.Sprintf("chown %d %s", e.daemonUID(), path))
	default:
		data, err := os.ReadFile(e.path(path))
		if _, perr := seal.Parse(string(data)); err != nil || perr != nil {
			add("holds no key", "restore it from a backup")
			return
		}
		e.ok("key-file", path, "is there, for mfad alone")
	}
}
