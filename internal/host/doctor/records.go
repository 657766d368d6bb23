package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"mfa/internal/account/record"
	"mfa/internal/host/rights"
	"mfa/internal/mfa"
	"mfa/internal/store/local"
)

// people are the enrollments by user.
type people map[string]mfa.Enrollment

// shown bounds how many files of one kind are named.
const shown = 10

// records reads every enrollment: mfad refuses users whose record does not parse, and
// ignores files under a wrong name.
func (e *exam) records(context.Context) {
	if !e.known || e.cfg.Store.Backend != "local" {
		return
	}
	dir := filepath.Join(e.cfg.Store.Path, "users")
	entries, err := os.ReadDir(e.path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		e.add(Finding{Error, "records", dir, err.Error(), "Who is enrolled cannot be told.", "make the folder readable"})
		return
	}
	e.people, e.unread = people{}, map[string]bool{}
	uids := e.uids()
	wrong := 0
	err = rights.As(int(e.daemonUID()), func() error {
		for _, entry := range entries {
			f := e.record(dir, entry, uids)
			if f == nil {
				continue
			}
			if wrong++; wrong <= shown {
				e.add(*f)
			}
		}
		return nil
	})
	if err != nil {
		e.add(Finding{Error, "records", dir, err.Error(), "Who is enrolled cannot be told.", "mend what it says"})
		return
	}
	if wrong > shown {
		e.add(Finding{Warning, "records", dir, fmt.Sprintf("%d more files like these", wrong-shown), "", "mfactl doctor, when those are mended"})
	}
	e.ok("records", dir, fmt.Sprintf("%d enrollments can be read", len(e.people)))
}

// record reads one file and returns what is wrong with it.
func (e *exam) record(dir string, entry fs.DirEntry, uids map[string]uint32) *Finding {
	place := filepath.Join(dir, entry.Name())
	if !strings.HasSuffix(entry.Name(), ".toml") || strings.HasPrefix(entry.Name(), ".") {
		return nil // what editors leave
	}
	name, ok := local.Owner(entry.Name())
	if !ok {
		return misnamed(place, entry.Name())
	}
	e.unread[name] = true
	info, err := entry.Info()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a plain file")
	}
	if err == nil {
		if f := e.changeable(name, place, info); f != nil {
			return f
		}
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(e.path(place))
	}
	var en mfa.Enrollment
	if err == nil {
		en, err = record.DecodeEnrollment(place, data)
	}
	if err != nil {
		mend := "edit the line; or start afresh: mfactl reset " + name
		if errors.Is(err, fs.ErrPermission) {
			mend = fmt.Sprintf("chown --reference=%s %s", dir, place)
		}
		return &Finding{Error, "record-broken", place, err.Error(), "Until it is mended, " + name + " cannot log in.", mend}
	}
	e.people[name] = en
	delete(e.unread, name)
	if at := newest(en); at.After(time.Now().Add(clockSlack)) {
		return &Finding{
			Warning, "record-future", place, "is from " + at.Format(time.DateTime) + ", which is yet to come",
			"The clock of this machine was wrong then, or is now.", "timedatectl; then mfactl unlock " + name + " ends what else is remembered of that time",
		}
	}
	if uid, there := uids[name]; there && uid != en.UID {
		return &Finding{
			Warning, "record-uid", place, fmt.Sprintf("is for uid %d, but %s has uid %d", en.UID, name, uid),
			"It belongs to an earlier account of this name and does not count.", "mfactl reset " + name,
		}
	}
	return nil
}

// changeable says if others could change the record of a user at place.
func (e *exam) changeable(name, place string, info fs.FileInfo) *Finding {
	why := "could change it; mfad therefore refuses " + name + "."
	if info.Mode().Perm()&0o022 != 0 {
		return &Finding{Error, "record-mode", place, fmt.Sprintf("has mode %04o", info.Mode().Perm()), "Others " + why, "chmod 0600 " + place}
	}
	if uid := ownerOf(info); uid != 0 && uid != e.daemonUID() {
		mend := fmt.Sprintf("chown --reference=%s %s", filepath.Dir(place), place)
		return &Finding{Error, "record-owner", place, fmt.Sprintf("belongs to uid %d", uid), "That user " + why, mend}
	}
	return nil
}

// clockSlack is how far in the future a time in a record may be. It is longer than
// mfa.ClockSlack, so that doctor only warns of what is surely wrong.
const clockSlack = 10 * time.Minute

// newest returns the latest time in an enrollment.
func newest(en mfa.Enrollment) time.Time {
	var last time.Time
	see := func(at time.Time) {
		if at.After(last) {
			last = at
		}
	}
	for _, m := range []mfa.Method{mfa.Email, mfa.SMS} {
		if c := en.Contact(m); c != nil {
			see(c.Confirmed)
		}
	}
	if en.TOTP != nil {
		see(en.TOTP.Confirmed)
	}
	if en.HOTP != nil {
		see(en.HOTP.Confirmed)
	}
	if en.Skipped != nil {
		see(*en.Skipped)
	}
	return last
}

// misnamed returns the finding about a file with a wrong name, with the right one if that
// is known.
func misnamed(place, file string) *Finding {
	f := &Finding{
		Severity: Warning, ID: "record-name", Where: place, What: "is under a name that mfad passes over",
		Why: "The user counts as not enrolled.", Mend: "remove it, or enroll the user with mfactl enroll",
	}
	if right, err := local.FileName(strings.TrimSuffix(file, ".toml")); err == nil && right != file {
		f.Mend = fmt.Sprintf("mv %s %s", place, path.Join(path.Dir(place), right))
	}
	return f
}

// uids returns the uids of /etc/passwd by name. It does not ask NSS.
func (e *exam) uids() map[string]uint32 {
	found := map[string]uint32{}
	eachLine(e.FS, "etc/passwd", func(fields []string) {
		if len(fields) >= 3 {
			if uid, err := strconv.ParseUint(fields[2], 10, 32); err == nil {
				found[fields[0]] = uint32(uid)
			}
		}
	})
	return found
}

// administrators returns the members of the groups that may become root, and root.
func (e *exam) administrators() []string {
	found := []string{}
	for _, group := range []string{"sudo", "wheel", "admin", e.cfg.Server.AdminGroup} {
		if group == "" {
			continue
		}
		for _, name := range members(e.FS, group) {
			if !slices.Contains(found, name) {
				found = append(found, name)
			}
		}
	}
	slices.Sort(found)
	return found
}

// admins: an administrator without a second factor is the first to be kept out.
func (e *exam) admins(context.Context) {
	if e.people == nil || !e.asked() || e.cfg.Policy.Mode != modeRequired {
		return
	}
	for _, name := range e.administrators() {
		if en, ok := e.people[name]; ok && en.Enrolled() || e.listed[name] || e.unread[name] {
			continue
		}
		f := Finding{
			Warning, "admin-not-enrolled", name, "is an administrator and has no second factor",
			"At the next login they are led through setting one up, whoever it is that logs in.",
			"mfactl enroll " + name + " --email ADDRESS; or as " + name + ": mfactl enroll",
		}
		if !e.cfg.Policy.EnrollAtLogin {
			f.Severity, f.Why = Error, "They cannot log in: policy.enroll_at_login is off."
			f.Mend = "mfactl enroll " + name + " --email ADDRESS"
		}
		e.add(f)
	}
}

// asked reports whether any service that was looked at asks for a second factor.
func (e *exam) asked() bool {
	return slices.ContainsFunc(e.stacks, func(s Stack) bool { return s.Asks })
}

// breakGlass: there has to be a way in when codes do not come.
func (e *exam) breakGlass(context.Context) {
	if !e.asked() {
		return
	}
	if way := e.glass(); way != "" {
		e.ok("break-glass", "the way in when codes do not come", way)
		return
	}
	e.add(Finding{
		Warning, "break-glass", "the way in when codes do not come", "there is none",
		"When mail does not go out, or mfad does not start, nobody can mend it.",
		"leave /etc/pam.d/login without pam_mfa.so; or give an administrator backup codes (mfactl backup-codes)",
	})
}

// glass names a way in, "" if there is none.
func (e *exam) glass() string {
	if e.cfg.Policy.Mode != modeRequired {
		return fmt.Sprintf("policy.mode is %q", e.cfg.Policy.Mode)
	}
	for _, rule := range e.extra.Policy.Rule {
		if rule.Mode == modeOff {
			return strings.TrimSpace("a rule of mfa.toml asks for none: " + rule.Name + " " + strings.Join(rule.Users, ", "))
		}
	}
	if exists(e.FS, "login") && !ExamineStack(e.FS, "login").Asks {
		if name := e.hasPassword(); name != "" {
			return "the console: /etc/pam.d/login asks for no second factor, and " + name + " has a password"
		}
	}
	for _, name := range append(e.administrators(), "root") {
		if en, ok := e.people[name]; ok && en.Has(mfa.Backup) && en.Enrolled() {
			return name + " has backup codes"
		}
	}
	return ""
}

// hasPassword returns root or an administrator who can log in by a password.
func (e *exam) hasPassword() string {
	wanted := append([]string{"root"}, e.administrators()...)
	name := ""
	eachLine(e.FS, "etc/shadow", func(fields []string) {
		if len(fields) > 1 && name == "" && slices.Contains(wanted, fields[0]) && strings.HasPrefix(fields[1], "$") {
			name = fields[0]
		}
	})
	return name
}
