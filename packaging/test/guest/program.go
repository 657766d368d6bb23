package main

import (
	"os"
	"regexp"
	"strings"
)

const (
	textProgram = "/usr/local/sbin/text"
	textTold    = "/var/lib/mfa/told"
	modem       = "/dev/ttyUSB0"
)

// The program of sms.command writes down what it sees and talks to a modem.
const textScript = `#!/bin/sh
cat >/dev/null
{
	echo "user $(id -un)"
	echo "tmp [$(ls -A /tmp)]"
	echo "home [$(ls -A /home)]"
	touch /usr/of-the-program 2>&1
	[ ! -e ` + modem + ` ] || echo "there is a modem"
} >` + textTold + `
touch /tmp/of-the-program
echo AT >` + modem + `
`

var dropIn = regexp.MustCompile(`(?s)\.Bd -literal -offset indent\n(\[Service\]\nPrivateDevices.*?)\.Ed`)

// confinedProgram holds what the manual and mfactl send-test say of sms.command: the
// program runs as mfa, with a /tmp of its own, without /home, without devices, and the
// lines of mfa.toml(5) for a modem open one.
func confinedProgram(*memory) {
	good, back := inForce()
	check(os.WriteFile(textProgram, []byte(textScript), 0o755))
	check(os.WriteFile("/tmp/of-root", nil, 0o644))
	run("mknod", modem, "c", "1", "3") // it takes everything, as /dev/null does
	run("chgrp", "dialout", modem)
	run("chmod", "660", modem)
	write(toml, good+"[sms]\nprovider = \"command\"\n[sms.command]\npath = \""+textProgram+"\"\n")
	run("systemctl", "restart", "mfad.service")
	said, err := attempt("mfactl", "send-test", "sms", "+17891234567")
	if err == nil {
		failf("there was no modem, and it is sent:\n%s", said)
	}
	contains(strings.Join(strings.Fields(said), " "), "as the user mfa with a /tmp of its own, without devices and without /home")
	told := read(textTold)
	for _, want := range []string{"user mfa\n", "tmp []\n", "home []\n", "/usr/of-the-program"} {
		contains(told, want)
	}
	if strings.Contains(told, "modem") {
		failf("a device is there:\n%s", told)
	}
	if _, err := os.Stat("/tmp/of-the-program"); err == nil {
		failf("it writes into the /tmp of all")
	}

	lines := dropIn.FindStringSubmatch(run("gunzip", "-c", "/usr/share/man/man5/mfa.toml.5.gz"))
	if lines == nil {
		failf("mfa.toml(5) has no lines for a modem")
	}
	const folder = "/etc/systemd/system/mfad.service.d"
	check(os.MkdirAll(folder, 0o755))
	write(folder+"/modem.conf", lines[1])
	run("systemctl", "daemon-reload")
	run("systemctl", "restart", "mfad.service")
	run("mfactl", "send-test", "sms", "+17891234567")
	told = read(textTold)
	for _, want := range []string{"user mfa\n", "home []\n", "there is a modem"} {
		contains(told, want)
	}

	back()
	for _, path := range []string{folder + "/modem.conf", modem, textProgram, textTold, "/tmp/of-root"} {
		check(os.Remove(path))
	}
	run("systemctl", "daemon-reload")
	run("systemctl", "restart", "mfad.service")
	check(loginByEmail("alice"))
}
