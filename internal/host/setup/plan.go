// Package setup switches the second factor on for one service, and back off: it
// plans the change, makes a backup, writes, and undoes the change unless a login proves
// that it works.
//
// What to know before trusting it: package doctor examines a plan before anything is
// written, and a plan with an error is refused. Every file is replaced whole or not at
// all. The backup is on the disk, synced, before the first file changes, in a folder of
// root's alone. The change is undone once, under a lock: by the program that waits for
// the proof, or by the guard, a process of its own that outlives it.
package setup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"mfa/internal/host/doctor"
)

// First factors of Options.First.
const (
	Password = "password" // PAM asks for it, by keyboard-interactive
	Key      = "key"      // an SSH key; PAM asks for no password
	Both     = "both"     // a key for those who have one, a password for the others
)

// FirstFactors are all that Options.First may be.
var FirstFactors = []string{Password, Key, Both}

// Services are those that can be set up; with Options.OneLine all can.
var Services = []string{"sshd", "sudo", "sudo-i", "su", "su-l", "login", "remote"}

// Options say what to set up.
type Options struct {
	Service string
	First   string // Password, Key or Both; the last two for sshd only
	OneLine bool   // the code is typed behind the password; First is Password
	Socket  string // server.pam_socket of mfa.toml
	// OldSSHD says that sshd is from before 8.7 and knows keyboard-interactive by
	// another name.
	OldSSHD bool
}

// A Change is one file before and after.
type Change struct {
	Path   string // absolute
	Before []byte // nil: there is no such file
	After  []byte // nil: it is removed
}

// defaultSocket is where pam_mfa asks if its line does not say.
const defaultSocket = "/run/mfa/pam.sock"

// ErrAlready means that there is nothing to change.
var ErrAlready = errors.New("is set up already")

// Make plans the changes below root. The error is ErrAlready if there are none, else it
// says why no plan without an error was found. It writes nothing.
func Make(root fs.FS, o Options) ([]Change, error) {
	if o.First != Password && o.Service != "sshd" {
		return nil, fmt.Errorf("plan %q: only sshd knows keys", o.Service)
	}
	if o.OneLine && o.First != Password {
		return nil, fmt.Errorf("plan %q: in one line the first factor is a password", o.Service)
	}
	changes, err := planAllPAM(root, o)
	if err != nil {
		return nil, err
	}
	if o.Service == "sshd" {
		ssh, err := planSSHD(root, o)
		if err != nil {
			return nil, fmt.Errorf("plan sshd: %w", err)
		}
		if ssh != nil {
			changes = append(changes, *ssh)
		}
	}
	if len(changes) == 0 {
		return nil, ErrAlready
	}
	return changes, nil
}

// AllServices returns what is set up with a service: itself, and below root the one that its
// program asks by, too.
func AllServices(root fs.FS, service string) []string {
	all := []string{service}
	if further := doctor.Further(root, service); further != "" {
		all = append(all, further)
	}
	return all
}

// planAllPAM plans the changes of /etc/pam.d for all that is set up with the service. One that
// includes what is changed before needs no change.
func planAllPAM(root fs.FS, o Options) (changes []Change, err error) {
	for _, service := range AllServices(root, o.Service) {
		o.Service = service
		pam, err := planPAM(Changed(root, changes), o)
		if err != nil {
			return nil, fmt.Errorf("plan %q: %w", service, err)
		}
		if pam != nil {
			changes = append(changes, *pam)
		}
	}
	return changes, nil
}

// read returns a file below root, nil if there is none.
func read(root fs.FS, path string) ([]byte, error) {
	data, err := fs.ReadFile(root, strings.TrimPrefix(path, "/"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && data == nil {
		data = []byte{}
	}
	return data, err
}

// problems joins the findings of the severity doctor.Error to one error.
func problems(found []doctor.Finding) error {
	var errs []error
	for _, f := range found {
		if f.Severity == doctor.Error {
			errs = append(errs, fmt.Errorf("%s: %s", f.ID, f.What))
		}
	}
	return errors.Join(errs...)
}

// Changed returns root as it will be after the changes.
func Changed(root fs.FS, changes []Change) fs.FS {
	files := map[string][]byte{}
	for _, c := range changes {
		files[strings.TrimPrefix(c.Path, "/")] = c.After
	}
	return plannedFile{root, files}
}

// plannedFile is root with some files as they will be.
type plannedFile struct {
	fs.FS
	files map[string][]byte // by path below root
}

// ReadFile implements fs.ReadFileFS.
func (c plannedFile) ReadFile(name string) ([]byte, error) {
	if data, ok := c.files[name]; ok {
		return bytes.Clone(data), nil
	}
	return fs.ReadFile(c.FS, name)
}

// Stat implements fs.StatFS.
func (c plannedFile) Stat(name string) (fs.FileInfo, error) {
	if data, ok := c.files[name]; ok {
		return plainFile{name, int64(len(data))}, nil
	}
	return fs.Stat(c.FS, name)
}

// A plainFile is what Stat says of a file that will be.
type plainFile struct {
	name string
	size int64
}

func (f plainFile) Name() string     { return f.name }
func (f plainFile) Size() int64      { return f.size }
func (plainFile) Mode() fs.FileMode  { return 0o644 }
func (plainFile) ModTime() time.Time { return time.Time{} }
func (plainFile) IsDir() bool        { return false }
func (plainFile) Sys() any           { return nil }
