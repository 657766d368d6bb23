package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mfa/internal/config"
	"mfa/internal/host"
	"mfa/internal/host/nss"
	"mfa/internal/host/pamstack"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// A Host is the machine that is examined.
type Host struct {
	Root    string // its root folder, "/" for this machine
	FS      fs.FS  // the files below Root
	Config  string // path of mfa.toml on it
	Version string // of the program that asks

	// SSHD asks sshd for its settings; nil: it has none that can be asked.
	SSHD SSHD
	// Status asks the daemon for its status; nil: the machine does not run.
	Status func(context.Context) (wire.Status, error)
	// Users asks the daemon what it knows of all users and calls fn for each; nil: the
	// machine does not run.
	Users func(ctx context.Context, fn func(wire.User)) error
	// Directory has the daemon try the directory that says where codes go; nil: the
	// machine does not run.
	Directory func(context.Context) (wire.Directory, error)
	// Fleet asks the daemon for etcd and the other hosts, where the store is a fleet's; nil:
	// the machine does not run.
	Fleet func(context.Context) (wire.Fleet, error)
	// Account asks NSS for the account of a uid, as nss.LookupUID does; nil: what
	// /etc/passwd says counts.
	Account func(ctx context.Context, uid uint32) (mfa.Identity, error)
	// Run runs a program of the machine and returns what it wrote; nil: the
	// machine does not run.
	Run func(ctx context.Context, name string, args ...string) (string, error)
}

// HostAt returns the machine whose root folder is root, with its mfa.toml at path. A
// caller that can reach the daemon of "/" sets Status and Users.
func HostAt(root, path string) (Host, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return Host{}, err
	}
	files, err := Within(root)
	if err != nil {
		return Host{}, fmt.Errorf("look at the root folder: %w", err)
	}
	h := Host{Root: root, FS: files, Config: path, Version: mfa.Version, SSHD: AskSSHD(root)}
	if root == "/" {
		h.Run, h.Account = host.Run, nss.LookupUID
	}
	return h, nil
}

// AskSSHD returns a function that asks the sshd of the machine whose root folder is
// root for its settings; nil if there is no sshd.
func AskSSHD(root string) SSHD {
	if _, err := os.Stat(filepath.Join(root, host.SSHD)); err != nil {
		return nil
	}
	return func(ctx context.Context, connection string) (string, error) {
		return host.RunWithin(ctx, root, host.SSHD, "-T", "-C", connection)
	}
}

// live reports whether the machine runs, and is no mere folder.
func (h Host) live() bool { return h.Status != nil }

// path returns where a path of the machine is here.
func (h Host) path(p string) string { return filepath.Join(h.Root, p) }

// An exam collects what is found about a host.
type exam struct {
	Host
	Report
	cfg    config.Config
	known  bool // whether cfg is what mfa.toml says
	extra  extra
	status *wire.Status // nil: the daemon did not answer
	stacks []Stack
	people people
	unread map[string]bool // users whose record cannot be read, or is refused
	listed map[string]bool // to whom codes go by what the directory said last
}

// usual are the services that are looked at if they are there.
var usual = []string{"sshd", "sudo", "sudo-i", "su", "su-l", "login"}

// Examine looks at a machine. With services it looks at the stacks of those only,
// else at the usual ones and at all that name pam_mfa.
func Examine(ctx context.Context, h Host, services []string) Report {
	e := &exam{Host: h}
	e.config()
	e.daemon(ctx)
	e.examineStacks(services)
	e.sshd(ctx)
	for _, check := range []func(context.Context){
		e.module, e.sockets, e.storage, e.records, e.directory, e.fleet, e.carriers, e.accounts, e.admins, e.breakGlass, e.pendingSetup, e.sudoers, e.further,
		e.unprivileged, e.ahead, e.census, e.nist, e.language,
	} {
		check(ctx)
	}
	if h.live() {
		for _, check := range []func(context.Context){e.mail, e.sms, e.clock, e.disk, e.fail2ban, e.confinement} {
			check(ctx)
		}
	}
	e.sort()
	return e.Report
}

func (e *exam) ok(id, where, what string) {
	e.add(Finding{Severity: OK, ID: id, Where: where, What: what})
}

// examineStacks walks the stacks of the services.
func (e *exam) examineStacks(services []string) {
	names := services
	if len(names) == 0 {
		names = e.services()
	}
	asked := false
	for _, name := range names {
		st := ExamineStack(e.FS, name)
		e.stacks = append(e.stacks, st)
		e.Logins = append(e.Logins, st.Login)
		e.add(st.Found...)
		asked = asked || st.Asks
		if st.Asks {
			e.fits(st)
		}
		if len(services) > 0 && !st.Asks {
			e.add(Finding{
				Warning, "mfa-absent", name, "no login through this service is asked for a second factor", "",
				"mfactl setup " + name,
			})
		}
	}
	if !asked && len(services) == 0 {
		e.add(Finding{
			Warning, "mfa-absent", "/etc/pam.d", "no service asks for a second factor",
			"Nobody is asked, whatever mfa.toml says.", "mfactl setup sshd",
		})
	}
}

// services returns those to look at when none are named.
func (e *exam) services() []string {
	var found []string
	for _, name := range usual {
		if exists(e.FS, name) {
			found = append(found, name)
		}
	}
	all, err := pamstack.Names(e.FS)
	if err != nil {
		e.add(Finding{Error, "pam-unreadable", "/etc/pam.d", err.Error(), "What PAM does cannot be told.", "make the folder readable"})
	}
	for _, name := range all {
		if !slices.Contains(found, name) && !slices.Contains([]string{"other"}, name) && ExamineStack(e.FS, name).Asks && isService(name) {
			found = append(found, name)
		}
	}
	return found
}

// isService leaves out files that only others include.
func isService(name string) bool {
	return !strings.HasPrefix(name, "common-") && !slices.Contains([]string{
		"system-auth", "password-auth", "postlogin", "base-auth", "system-local-login", "system-login", "system-remote-login",
	}, name)
}

// fits compares the arguments of a stack's pam_mfa with mfa.toml.
func (e *exam) fits(st Stack) {
	if !e.known {
		return
	}
	for _, socket := range st.Sockets {
		if socket != e.cfg.Server.PAMSocket {
			e.add(Finding{
				Error, "socket-mismatch", st.Name, "pam_mfa asks at " + socket + ", but mfad listens at " + e.cfg.Server.PAMSocket,
				"Every login through this service is refused.", "socket=" + e.cfg.Server.PAMSocket + " behind pam_mfa.so, or server.pam_socket in mfa.toml",
			})
		}
	}
	limit := time.Duration(e.cfg.Server.LoginTimeout)
	for _, seconds := range st.Timeouts {
		if seconds > 0 && time.Duration(seconds)*time.Second <= limit {
			e.add(Finding{
				Warning, "module-timeout", st.Name, "timeout= of pam_mfa is not above server.login_timeout " + limit.String(),
				"pam_mfa gives up while mfad still waits for the code.", "a longer timeout=, or a shorter login_timeout in mfa.toml",
			})
		}
	}
	if e.extra.Lockout.ForcePasswordChange && !st.Account {
		e.add(Finding{
			Error, "account-missing", st.Name, "lockout.force_password_change is on, but no account line calls pam_mfa",
			"Nobody is made to change a password.", accountLine + ", above the other account lines of /etc/pam.d/" + st.Name,
		})
	}
}

// sshd looks at the settings of sshd if its stack is looked at.
func (e *exam) sshd(ctx context.Context) {
	for _, st := range e.stacks {
		if st.Name != "sshd" || !st.Asks {
			continue
		}
		if e.SSHD == nil {
			e.ok("sshd-absent", "sshd", "there is no sshd to ask for its settings")
			return
		}
		found := ExamineSSHD(ctx, e.FS, e.SSHD, st, time.Duration(e.cfg.Server.LoginTimeout))
		found = append(found, e.robots(ctx)...)
		e.add(found...)
		if !slices.ContainsFunc(found, func(f Finding) bool { return f.Severity != OK }) {
			e.ok("sshd", "sshd", "its settings let a code be asked for, and nobody past it")
		}
	}
}
