package doctor

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"

	"mfa/internal/config"
	"mfa/internal/host/pamstack"
)

// ChangesPassword reports whether pam_mfa's demand for a new password reaches the
// application: the account stack of the service below root calls pam_mfa and returns
// its answer.
func ChangesPassword(root fs.FS, service string) bool {
	svc, err := pamstack.Load(root, service)
	if err != nil || svc.Refused != "" {
		return false
	}
	return pamstack.Run(svc.Stack(pamstack.Account), func(l pamstack.Line) pamstack.Code {
		if pamstack.RoleOf(l) == pamstack.Second {
			return pamstack.NewAuthtokReqd
		}
		return pamstack.Success
	}) == pamstack.NewAuthtokReqd
}

// accountLine is what mfactl setup writes.
const accountLine = "account  required   pam_mfa.so"

// Promises returns an error if lockout.force_password_change is on and a service below
// root that asks pam_mfa cannot demand a new password; nil otherwise.
func Promises(root fs.FS, cfg config.Config) error {
	if !cfg.Lockout.ForcePasswordChange {
		return nil
	}
	names, err := pamstack.Names(root)
	if err != nil {
		return fmt.Errorf("lockout.force_password_change: %w", err)
	}
	var unable []string
	for _, name := range names {
		if isService(name) && asks(root, name) && !ChangesPassword(root, name) {
			unable = append(unable, "/etc/pam.d/"+name)
		}
	}
	if len(unable) == 0 {
		return nil
	}
	return fmt.Errorf("lockout.force_password_change is on, but nobody is made to change a password: "+
		"in %s no account line calls pam_mfa; put %q above the other account lines", strings.Join(unable, ", "), accountLine)
}

// asks reports whether pam_mfa is in the auth stack of a service.
func asks(root fs.FS, service string) bool {
	svc, err := pamstack.Load(root, service)
	if err != nil {
		return false
	}
	for _, l := range svc.Stack(pamstack.Auth) {
		if pamstack.RoleOf(l) == pamstack.Second {
			return true
		}
	}
	return false
}

// maxAccounts bounds how many services Accounts remembers.
const maxAccounts = 64

// Accounts caches ChangesPassword for this machine. It reads a stack anew when a file of
// it has changed. It may be used from many goroutines.
type Accounts struct {
	mu    sync.Mutex            // guards known
	known map[string]remembered // by service
}

// A remembered answer holds while the files look as they did.
type remembered struct {
	changes bool
	files   map[string]stamp
}

// A stamp is how a file looks; the zero stamp is no file.
type stamp struct {
	inode        uint64
	size         int64
	changedSec   int64
	changedNanos int64
}

func stampOf(name string) stamp {
	info, err := os.Stat("/" + name)
	if err != nil {
		return stamp{}
	}
	st := info.Sys().(*syscall.Stat_t)
	return stamp{st.Ino, st.Size, st.Ctim.Sec, st.Ctim.Nsec}
}

// ChangesPassword is the function of that name, on this machine.
func (a *Accounts) ChangesPassword(service string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r, ok := a.known[service]; ok && r.holds() {
		return r.changes
	}
	files := noting{os.DirFS("/"), map[string]stamp{}}
	r := remembered{ChangesPassword(files, service), files.seen}
	if a.known == nil || len(a.known) >= maxAccounts {
		a.known = map[string]remembered{}
	}
	a.known[service] = r
	return r.changes
}

func (r remembered) holds() bool {
	for name, was := range r.files {
		if stampOf(name) != was {
			return false
		}
	}
	return true
}

// noting notes how each file looked before it was opened.
type noting struct {
	fs.FS
	seen map[string]stamp
}

// Open implements fs.FS.
func (n noting) Open(name string) (fs.File, error) {
	if _, ok := n.seen[name]; !ok {
		n.seen[name] = stampOf(name)
	}
	return n.FS.Open(name)
}
