package doctor

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mfa/internal/host/clock"
	"mfa/internal/host/pamstack"
	"mfa/internal/mfa"
)

// versionMark is the text before the version in pam_mfa.so; see VERSION_MARK in pam_mfa.c.
const versionMark = "pam_mfa version "

// ModuleVersion returns the version in the content of a pam_mfa.so, or "".
func ModuleVersion(file []byte) string {
	_, rest, found := bytes.Cut(file, []byte(versionMark))
	end := bytes.IndexByte(rest, 0)
	if !found || end < 0 || end > 100 {
		return ""
	}
	return string(rest[:end])
}

// module looks at the files that the stacks name as pam_mfa.
func (e *exam) module(context.Context) {
	said := slices.ContainsFunc(e.Findings, func(f Finding) bool { return f.ID == "module-missing" })
	if !said && len(moduleFolders(e.FS)) > 0 && ModulePath(e.FS, "pam_mfa.so") == "" {
		e.add(Finding{
			Error, "module-missing", "PAM", "pam_mfa.so is not where PAM looks for modules",
			"Every login through a service that names it is refused.", "install the package again",
		})
	}
	var seen []string
	for _, st := range e.stacks {
		svc, err := pamstack.Load(e.FS, st.Name)
		if err != nil {
			continue
		}
		for _, l := range svc.Stack(pamstack.Auth) {
			if pamstack.RoleOf(l) != pamstack.Second {
				continue
			}
			if file := ModulePath(e.FS, l.Module); file != "" && !slices.Contains(seen, file) {
				seen = append(seen, file)
				e.moduleFile(file)
			}
		}
	}
}

func (e *exam) moduleFile(file string) {
	where := "/" + file
	info, err := fs.Stat(e.FS, file)
	if err != nil {
		e.add(Finding{Error, "module-file", where, err.Error(), "Every login is refused.", "install the package again"})
		return
	}
	if perm := info.Mode().Perm(); perm&0o022 != 0 || ownerOf(info) != 0 {
		e.add(Finding{
			Error, "module-file", where, fmt.Sprintf("has mode %04o and belongs to uid %d", perm, ownerOf(info)),
			"Whoever can write it decides about every login.", "chown root:root " + where + "; chmod 0644 " + where,
		})
	}
	data, err := fs.ReadFile(e.FS, file)
	if err != nil {
		e.add(Finding{Error, "module-file", where, err.Error(), "Every login is refused.", "install the package again"})
		return
	}
	version, daemon := ModuleVersion(data), e.Version
	if e.status != nil {
		daemon = e.status.Version
	}
	if version != daemon {
		e.add(Finding{
			Warning, "module-version", where, fmt.Sprintf("is version %q, mfad is %s", version, daemon),
			"One of them may not understand the other.", "install both from one package, then systemctl restart mfad",
		})
		return
	}
	e.ok("module", where, "is version "+version+", as mfad is")
}

// clock: codes of apps are right for half a minute.
func (e *exam) clock(context.Context) {
	synchronised, err := clock.Synchronised()
	switch {
	case err != nil:
		e.ok("clock", "clock", fmt.Sprintf("whether it is synchronized cannot be told: %v", err))
	case !synchronised:
		sev := OK
		if slices.Contains(e.cfg.Policy.Methods, mfa.TOTP) {
			sev = Warning
		}
		e.add(Finding{
			sev, "clock", "clock", "is not synchronized", "Codes of authenticator apps are right for some " +
				"half a minute around this machine's time.", "timedatectl set-ntp true; or install chrony",
		})
	default:
		e.ok("clock", "clock", "is synchronized")
	}
}

// Free space below which disk warns.
const (
	leastBytes   = 64 << 20
	leastPercent = 3
)

// disk: mfad refuses a login that it cannot store.
func (e *exam) disk(context.Context) {
	e.room(e.cfg.Store.Path, "mfad refuses logins that it cannot write down.")
	if dir := filepath.Dir(e.cfg.Audit.File); dir != "." {
		e.room(dir, "Logins go on, and have no line in the audit file; the journal has them.")
	}
}

// room looks at the disk of a folder; why says what follows where it is full.
func (e *exam) room(dir, why string) {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil || st.Blocks == 0 {
		return
	}
	free := st.Bavail * uint64(st.Bsize)
	percent := 100 * st.Bavail / st.Blocks
	mend := "make room: du -x " + mountPoint(dir) + " | sort -n | tail"
	switch {
	case st.Bavail > 0 && st.Files > 0 && st.Ffree == 0:
		e.add(Finding{Error, "disk", dir, "the disk has no free inodes", "mfad refuses what it would have to make a file for.", strings.Replace(mend, "du -x", "du --inodes -x", 1)})
	case st.Bavail == 0:
		e.add(Finding{Error, "disk", dir, "the disk is full", why, mend})
	case free < leastBytes && percent < leastPercent || st.Files > 0 && st.Ffree < 100:
		e.add(Finding{Warning, "disk", dir, fmt.Sprintf("%d MiB (%d %%) and %d files are left on the disk", free>>20, percent, st.Ffree), why, mend})
	default:
		e.ok("disk", dir, fmt.Sprintf("%d MiB are left on the disk", free>>20))
	}
}

// mountPoint returns the uppermost folder of the file system that a folder is on.
func mountPoint(dir string) string {
	device := func(path string) (dev uint64) {
		if info, err := os.Stat(path); err == nil {
			dev = info.Sys().(*syscall.Stat_t).Dev
		}
		return dev
	}
	dir = filepath.Clean(dir)
	for dir != "/" && device(filepath.Dir(dir)) == device(dir) {
		dir = filepath.Dir(dir)
	}
	return dir
}

// fail2ban: a jail should ban addresses by the log.
func (e *exam) fail2ban(ctx context.Context) {
	if !e.hasProgram("fail2ban-client") { // not etc/fail2ban: our package has files there
		e.ok("fail2ban", "fail2ban", "is not installed; mfad locks by itself")
		return
	}
	out, err := e.Run(ctx, "fail2ban-client", "status")
	if err != nil {
		e.add(Finding{
			Warning, "fail2ban", "fail2ban", "is installed, but does not answer",
			"Addresses that try passwords and codes are not banned.", "systemctl enable --now fail2ban",
		})
		return
	}
	_, list, _ := strings.Cut(out, "Jail list:")
	var jails []string
	for jail := range strings.SplitSeq(list, ",") {
		if jail = strings.TrimSpace(jail); strings.Contains(jail, "mfa") || strings.HasPrefix(jail, "sshd") {
			jails = append(jails, jail)
		}
	}
	if len(jails) == 0 {
		e.add(Finding{
			Warning, "fail2ban", "fail2ban", "runs, but no jail looks after logins",
			"Addresses that try passwords and codes are not banned.", "in /etc/fail2ban/jail.d/mfa.local: [mfa] and enabled = true",
		})
		return
	}
	e.ok("fail2ban", "fail2ban", "bans by "+strings.Join(jails, ", "))
}

// hasProgram reports whether a program is in one of the usual folders.
func (e *exam) hasProgram(name string) bool {
	return slices.ContainsFunc([]string{"usr/bin/", "usr/sbin/", "usr/local/bin/", "usr/local/sbin/", "bin/", "sbin/"}, func(dir string) bool {
		_, err := fs.Stat(e.FS, dir+name)
		return err == nil
	})
}

// confinement: SELinux and AppArmor may keep sshd from the socket.
func (e *exam) confinement(context.Context) {
	enforcing, err := fs.ReadFile(e.FS, "sys/fs/selinux/enforce")
	switch modules, _ := fs.Glob(e.FS, "var/lib/selinux/*/active/modules/*/mfa"); {
	case err != nil:
	case strings.TrimSpace(string(enforcing)) != "1":
		e.ok("selinux", "SELinux", "is permissive")
	case len(modules) == 0:
		e.add(Finding{
			Error, "selinux", "SELinux", "enforces, and there is no policy module for mfa",
			"sshd and login may not reach mfad's socket, and refuse every login.", "semodule -i /usr/share/selinux/packages/mfa.pp",
		})
	default:
		e.ok("selinux", "SELinux", "enforces, with the policy module for mfa")
	}
	profiles, err := fs.ReadFile(e.FS, "sys/kernel/security/apparmor/profiles")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(profiles)) {
		name, mode, _ := strings.Cut(strings.TrimSpace(line), " (")
		base := filepath.Base(name)
		if mode == "enforce)" && slices.Contains([]string{"sshd", "mfad", "sudo", "su", "login"}, base) {
			e.add(Finding{
				Warning, "apparmor", "AppArmor", "confines " + name,
				"It has to be let at mfad's socket, or it refuses every login.",
				e.cfg.Server.PAMSocket + " rw, in the profile; then apparmor_parser -r",
			})
		}
	}
}

// pendingSetup: a change by mfactl setup that was not confirmed within an hour.
func (e *exam) pendingSetup(context.Context) {
	found, _ := fs.Glob(e.FS, "var/backups/mfa/*/pending")
	for _, name := range found {
		service := filepath.Base(filepath.Dir(name))
		info, err := fs.Stat(e.FS, name)
		if err != nil || time.Since(info.ModTime()) < time.Hour {
			continue // it may be under way
		}
		e.add(Finding{
			Warning, "setup-pending", service, "mfactl setup changed it, and nobody proved a login",
			"Nobody knows whether a login works.", "mfactl setup " + service + " --undo",
		})
	}
}
