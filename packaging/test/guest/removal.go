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
	run("mfactl", "setup", "sudo", "--yes", "--confirm-within", "0")
	contains(read("/etc/pam.d/sudo-i"), "pam_mfa.so") // which no backup has the name of
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

// installAgain: a package that comes back starts as one that comes for the first time. dpkg
// hands its postinst the version that was removed, as at an upgrade: mfad stayed down then,
// and the package did not say a word.
func installAgain(m *memory) {
	expectNextStep(run("dpkg", "-i", home+"new.deb"))
	same(m.Logins, hashes("/etc/pam.d", "/etc/pam.conf", "/etc/ssh", "/etc/nsswitch.conf", "/etc/security", "/usr/share/pam-configs"),
		`^/usr/share/pam-configs/mfa$`)
	for _, unit := range units {
		run("systemctl", "is-enabled", unit)
		eventually(unit+" runs", func() bool { return active(unit) })
	}
	contains(run("mfactl", "status"), newVersion())
	contains(run("mfactl", "show", "alice"), "a***e@example.com") // as before the removal
}

// brokenOff: a removal that dpkg breaks off behind prerm, since what comes in the place of the
// package fails, leaves mfad running, and says that no login asks for a second factor any more.
func brokenOff(*memory) {
	dir := home + "rival"
	check(os.MkdirAll(dir+"/DEBIAN", 0o755))
	write(dir+"/DEBIAN/control", "Package: rival\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\n"+
		"Description: takes the place of mfa\nConflicts: mfa\nReplaces: mfa\nProvides: mfa\n")
	write(dir+"/DEBIAN/preinst", "#!/bin/sh\nexit 1\n")
	check(os.Chmod(dir+"/DEBIAN/preinst", 0o755))
	run("dpkg-deb", "--build", dir, dir+".deb")
	said, err := attempt("dpkg", "-i", dir+".deb")
	if err == nil {
		failf("the rival is installed:\n%s", said)
	}
	contains(said, "mfa: not removed")
	for _, unit := range units {
		eventually(unit+" runs", func() bool { return active(unit) })
	}
}

// units are those of the package.
var units = []string{"mfad.socket", "mfad.service"}

func active(unit string) bool { _, err := attempt("systemctl", "is-active", unit); return err == nil }

// upgradeStopped: an upgrade starts nothing that an administrator has stopped, nor switches
// it on again.
func upgradeStopped(*memory) {
	for _, more := range []string{"stop", "disable"} {
		run("systemctl", append([]string{more}, units...)...)
		if said := run("dpkg", "-i", home+"new.deb"); strings.Contains(said, "no login has changed") {
			failf("an upgrade speaks like a first installation:\n%s", said)
		}
		for _, unit := range units {
			_, err := attempt("systemctl", "is-enabled", unit)
			if active(unit) || (err == nil) != (more == "stop") {
				failf("%s, then an upgrade: %s", more, run("systemctl", "show", "-p", "ActiveState,UnitFileState", unit))
			}
		}
	}
	// Nor does what is switched off start by being removed and installed again.
	run("dpkg", "-r", "mfa")
	expectNextStep(run("dpkg", "-i", home+"new.deb"))
	for _, unit := range units {
		if active(unit) {
			failf("%s was switched off, and runs", unit)
		}
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
