package main

import (
	"os"
	"strings"
	"time"
)

const (
	mailProgram    = "/usr/local/sbin/mail-program"
	mailTold       = "/var/lib/mfa/mail-told"
	addressProgram = "/usr/local/sbin/address-program"
	dropIns        = "/etc/systemd/system/mfad.service.d"
	localConf      = dropIns + "/local-only.conf"
)

// The program of email.sendmail does what such programs do: it takes the letter through
// a pipe, writes a file and locks it, waits with a bound, and speaks to a server.
const mailScript = `#!/bin/sh
set -e
umask 077
work=$(mktemp)
cat | sed 's/^/> /' >"$work"
flock "$work" true
timeout 5 sleep 0.1
perl -MIO::Socket::INET -MPOSIX -e '
	my $s = IO::Socket::INET->new("127.0.0.1:22") or die "connect: $!";
	print "server ", scalar(<$s>);
	defined(my $pid = fork) or die "fork: $!";
	exit 0 unless $pid;
	waitpid $pid, 0;
' >>"$work"
mv "$work" ` + mailTold + `
`

// The program of contacts.command knows where codes of erin go.
const addressScript = `#!/bin/sh
[ "$1" != erin ] || printf 'email=%s@example.com\n' "$1"
`

// programs holds that the filter of system calls lets programs do their work: mail by
// email.sendmail, addresses by contacts.command. Those of sms.command are another step's.
func programs(*memory) {
	good, back := inForce()
	check(os.WriteFile(mailProgram, []byte(mailScript), 0o755))
	check(os.WriteFile(addressProgram, []byte(addressScript), 0o755))

	write(toml, strings.Replace(good, `transport = "outbox"`, `transport = "sendmail"`, 1)+"[email.sendmail]\npath = \""+mailProgram+"\"\n")
	restartAgain()
	run("mfactl", "send-test", "email", "alice@example.com")
	eventually("the program has the letter", func() bool {
		_, err := os.Stat(mailTold)
		return err == nil
	})
	told := read(mailTold)
	contains(told, "alice@example.com")
	contains(told, "server SSH-2.0")

	write(toml, good+"[contacts]\nsource = \"command\"\nconfirmed = true\n[contacts.command]\npath = \""+addressProgram+"\"\n")
	restartAgain()
	run("mfactl", "reset", "erin", "--yes")
	check(loginByEmail("erin"))

	back()
	for _, path := range []string{mailProgram, mailTold, addressProgram} {
		check(os.Remove(path))
	}
	restartAgain()
	run("mfactl", "enroll", "erin", "--no-message", "--email", "erin@example.com")
}

// localOnly holds that the drop-in for machines whose mfad sends nothing over the network
// takes it away, and that logins go on.
func localOnly(m *memory) {
	check(os.MkdirAll(dropIns, 0o755))
	write(localConf, read("/usr/share/doc/mfa/local-only.conf"))
	run("systemctl", "daemon-reload")
	restartAgain()
	exposed(0.4)
	if own, ours := run("readlink", "/proc/"+daemonPID()+"/ns/net"), run("readlink", "/proc/self/ns/net"); own == ours {
		failf("the daemon has the machine's network")
	}
	check(loginByEmail("alice"))
	eventually("a step of the app that is not used", func() bool { return time.Now().Unix()/period+1 > m.Step })
	m.Step = time.Now().Unix()/period + 1
	l := begin("bob")
	l.expect("Code")
	l.send(m.codeAt(m.Step))
	l.in()

	check(os.Remove(localConf))
	run("systemctl", "daemon-reload")
	restartAgain()
}

// restartAgain restarts the daemon, which systemd would refuse after ten times a minute.
func restartAgain() {
	run("systemctl", "reset-failed", "mfad.socket", "mfad.service")
	run("systemctl", "restart", "mfad.service")
}
