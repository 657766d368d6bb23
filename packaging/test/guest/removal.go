package main

import (
	"os"
	"strings"
)

// refuseRemoval: nobody is locked out by a package that goes.
func refuseRemoval(*memory) {
	sudo := read("/etc/pam.d/sudo")
	write("/etc/pam.d/sudo", sudo+"auth required pam_mfa.so\n")
	said, err := attempt("dpkg", "-r", "mfa")
	if err == nil {
		failf("removed:\n%s", said)
	}
	contains(said, "/etc/pam.d/sudo:")
	contains(said, "auth required pam_mfa.so")
	check(loginByEmail("alice")) // and nothing is switched off
	run("systemctl", "is-active", "mfad.service", "mfad.socket")
	write("/etc/pam.d/sudo", sudo)
}

// remove takes the package away while mfactl setup and pam-auth-update have it
// switched on: the package takes that back by itself.
func remove(m *memory) {
	if strings.Contains(read("/etc/pam.d/common-auth"), "mfa") {
		failf("the profile was on")
	}
	run("pam-auth-update", "--package", "--enable", "mfa")
	contains(read("/etc/pam.d/common-auth"), "pam_mfa.so")
	if _, err := os.Stat("/var/backups/mfa/sshd/manifest.json"); err != nil {
		failf("setup kept nothing of what it replaced: %v", err)
	}
	run("dpkg", "-r", "mfa")
	same(m.Logins, hashes("/etc/pam.d", "/etc/pam.conf", "/etc/ssh", "/etc/nsswitch.conf", "/etc/security", "/usr/share/pam-configs"), `^$`)
	check(byPassword("alice"))
	for _, path := range []string{"/etc/mfa/mfa.toml", "/var/lib/mfa/state.db", "/var/lib/mfa/users/alice.toml", "/var/log/mfa/audit.jsonl"} {
		read(path)
	}
	if _, err := os.Stat("/run/mfa"); err == nil {
		failf("/run/mfa is left")
	}
}

// noise is what any package, user or reboot changes.
const noise = `^/var/lib/(dpkg|systemd|pam|dbus|private|AccountsService)(/|$)|^/var/log|^/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|` +
	`^/var/cache|^/etc/(machine-id|ld\.so\.cache|\.pwd\.lock|mtab|resolv.conf|systemd/system/mfad.service.d(/key.conf)?)$|^/etc$`

func purge(m *memory) {
	check(os.RemoveAll("/etc/systemd/system/mfad.service.d")) // the administrator's own
	run("dpkg", "-P", "mfa")
	same(m.Before, hashes("/etc", "/usr", "/var/lib", "/var/log", "/opt", "/srv", "/root"), noise)
	for _, path := range []string{"/etc/mfa", "/var/lib/mfa", "/var/log/mfa", "/var/backups/mfa", "/run/mfa"} {
		if _, err := os.Lstat(path); err == nil {
			failf("left: %s", path)
		}
	}
	for _, kind := range []string{"passwd", "group"} {
		if said, err := attempt("getent", kind, "mfa"); err == nil {
			failf("left: %s", said)
		}
	}
	if said := run("find", "/etc", "/usr", "/var", "/run", "/root", "/home", "-xdev", "-iname", "*mfa*", "-not", "-path", "/run/systemd/*"); said != "" {
		failf("left:\n%s", said)
	}
	check(byPassword("alice"))
}
