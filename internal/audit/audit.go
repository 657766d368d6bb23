// Package audit writes down what happened: one JSON object a line, appended,
// for every decision that lets somebody in or keeps them out and for every
// change of an enrollment.
//
// What to know before trusting it: a line is in the file when Record returns, but it is
// not synced; refusals that one peer can repeat at will share lines (Refuse). A file that
// was moved away by log rotation is opened
// anew at the next line. No line ever holds a code, a secret or a password, and
// what came from outside is escaped by JSON and cut short. Each event is in the log too, and
// so in the journal, where each field is MFA_FIELD. A line that cannot be written
// is an error in the log: the decision stands. packaging/audit-schema.json says
// what a line looks like; every file the tests make is held against it.
package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"mfa/internal/mfa"
)

// The event names, stable for programs that read the file.
const (
	Login          = "login"                 // a login ended: outcome, reason
	SelfService    = "self_service"          // a user managed their own enrollment: outcome, reason
	Denied         = "control.denied"        // a request on the control socket was refused: Actor may not do that
	Challenge      = "challenge.issued"      // a code was made and handed to a carrier
	Sent           = "challenge.sent"        // the next hop took the message
	FellBack       = "challenge.fell_back"   // a text message failed, and the code was handed to email
	Undelivered    = "challenge.undelivered" // the next hop took the message, and says now that it did not arrive
	SendFailed     = "challenge.send_failed" // the next hop did not take the message
	Failed         = "factor.failed"         // a wrong code was counted
	Locked         = "lockout.locked"        // the second factor of a user was locked
	Unlocked       = "lockout.unlocked"      // a lock was ended before its time, by Actor
	Settled        = "clock.settled"         // what a clock that ran ahead had left of a user was ended, by Actor
	Enrolled       = "enrollment.changed"    // a method was added, changed or confirmed
	Begun          = "enrollment.begun"      // setting up a method was begun; what was begun before is void
	Directory      = "contacts.changed"      // the directory says of another address than before where codes of a method go
	OptedOut       = "enrollment.opted_out"  // a user chose to have no second factor
	ResetUser      = "enrollment.reset"      // everything of a user was cleared
	Remembered     = "session.remembered"    // logins like this one are not asked for a second factor for a time
	Revoked        = "session.revoked"       // remembered logins were ended, by Actor
	ConfigLoad     = "config.loaded"         // the daemon took a configuration
	ConfigError    = "config.refused"        // it refused one and kept the old
	Disabled       = "factor.disabled"       // a method proves nothing more, after 100 wrong codes in a row
	RecoveryFailed = "recovery.failed"       // a wrong recovery code was counted
	Shelved        = "token.shelved"         // a token was brought in that waits for its user, by Actor
	Merged         = "offline.merged"        // what was decided of a user without the fleet's store is in it
	Resynchronised = "factor.resynchronised" // a token that was far ahead was taken at two codes in a row
)

// Log is the audit file. It may be used from many goroutines; a nil Log records
// nothing.
type Log struct {
	path      string
	log       *slog.Logger
	observers []func(mfa.Event)

	mu      sync.Mutex // guards what follows
	f       *os.File   // nil: no file is configured, or it is not open just now
	is      fileID     // of f
	problem error      // of the last line; nil: it was written

	foldMu sync.Mutex // guards folds
	folds  map[foldKey]*fold
}

// Open opens the file named in cfg for appending, mode 0600, and makes its
// folder when missing, mode 0750. It refuses a symbolic link. Events go to the log only
// if no file is configured, and on a disk that is mounted read-only until it can be
// written.
func Open(cfg Config, log *slog.Logger) (*Log, error) {
	l := &Log{path: cfg.File, log: log}
	if l.path == "" {
		return l, nil
	}
	err := os.MkdirAll(filepath.Dir(l.path), 0o750)
	if err == nil {
		err = l.open()
	}
	if errors.Is(err, syscall.EROFS) {
		log.Error("audit.file cannot be written; mount its disk writable again", "error", err)
		l.problem = err
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open audit.file: %w", err)
	}
	return l, nil
}

// A fileID identifies a file by device and inode. No other file has them while it is open.
type fileID struct{ dev, ino uint64 }

// open opens the file at the path, in the place of the one that is open. The caller
// holds mu, or has the Log for itself.
func (l *Log) open() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return errors.Join(&os.PathError{Op: "stat", Path: l.path, Err: err}, f.Close())
	}
	if l.f != nil {
		_ = l.f.Close() // every line in it was written whole
	}
	l.f, l.is = f, fileID{st.Dev, st.Ino}
	return nil
}

// Observe has see called with each event after it was written, in the goroutine of
// Record. see must be quick and safe for many goroutines. Call Observe before the first
// Record.
func (l *Log) Observe(see func(mfa.Event)) { l.observers = append(l.observers, see) }

// Record writes one event to the file and the log. It cuts long texts short. A failure is
// logged, not returned.
func (l *Log) Record(ev mfa.Event) {
	if l == nil {
		return
	}
	bound(&ev)
	line, err := json.Marshal(ev)
	if err == nil {
		err = l.append(append(line, '\n'))
	}
	if err != nil {
		l.log.Error("audit line not written; free space or mend audit.file",
			"error", err, "event", ev.Event, "user", ev.User, "outcome", ev.Outcome)
	}
	if ctx := context.Background(); l.log.Enabled(ctx, level(ev)) {
		l.log.LogAttrs(ctx, level(ev), ev.Event, attrs(&ev)...)
	}
	for _, see := range l.observers {
		see(ev)
	}
}

func (l *Log) append(line []byte) (err error) {
	if l.path == "" {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() { l.problem = err }()
	if l.rotated() {
		if err := l.open(); err != nil {
			return err
		}
	}
	_, err = l.f.Write(line)
	return err
}

// Problem returns why the last line is not in the file; nil if it is, or none is configured.
func (l *Log) Problem() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.problem
}

// rotated says whether the open file is no longer the one at the path.
func (l *Log) rotated() bool {
	var there unix.Stat_t
	return l.f == nil || unix.Lstat(l.path, &there) != nil || l.is != fileID{there.Dev, there.Ino}
}

// Close writes the refusals that were counted and not written yet, and closes the file.
func (l *Log) Close() error {
	l.unfoldAll()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	return err
}
