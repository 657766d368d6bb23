package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

const toml = "/etc/mfa/mfa.toml"

// inForce reads what the file of the administrator is and returns what puts it back.
func inForce() (text string, back func()) {
	text = read(toml)
	return text, func() { write(toml, text) }
}

// unit returns a property of mfad.service.
func unit(property string) string { return propertyOf("mfad.service", property) }

func propertyOf(unit, property string) string {
	return strings.TrimSpace(run("systemctl", "show", "-p", property, "--value", unit))
}

// journal returns what mfad said since then.
func journal(since time.Time) string {
	return run("journalctl", "--no-pager", "-o", "cat", "--since", "@"+strconv.FormatInt(since.Unix(), 10), "-u", "mfad.service")
}

// A finding is one of mfactl doctor.
type finding struct{ ID, What, Mend string }

// find returns doctor's findings of a kind.
func find(id string) (found []finding) {
	said, _ := attempt("mfactl", "doctor", "--json")
	var report struct{ Findings []finding }
	check(json.NewDecoder(strings.NewReader(said)).Decode(&report)) // a complaint follows
	for _, f := range report.Findings {
		if f.ID == id {
			found = append(found, f)
		}
	}
	return found
}

// refusedConfig sees a restart with a configuration that is refused: it fails, once,
// with the status that says so. An administrator who goes on trying runs into the start
// limit; then the remedy of doctor, word by word, mends it.
func refusedConfig(*memory) {
	good, back := inForce()
	write(toml, "nonsense = true\n"+good)
	if said, err := attempt("systemctl", "restart", "mfad.service"); err == nil {
		failf("restarted with a configuration that is refused:\n%s", said)
	}
	if got := unit("ExecMainStatus"); got != "2" {
		failf("exit status %s, not 2", got)
	}
	time.Sleep(3 * time.Second) // three times RestartSec=
	if state, again := unit("ActiveState"), unit("NRestarts"); state != "failed" || again != "0" {
		failf("it is %s after %s restarts by itself", state, again)
	}
	eventually("the start limit", func() bool {
		_, err := attempt("systemctl", "start", "mfad.service")
		return err != nil && propertyOf("mfad.socket", "Result") == "service-start-limit-hit"
	})
	if byPassword("alice") == nil {
		failf("without a daemon the password alone lets in")
	}
	back()
	if said, err := attempt("systemctl", "start", "mfad.service"); err == nil {
		failf("the start limit did not hold, so this shows nothing: %s", said)
	}
	found := find("daemon")
	if len(found) != 1 {
		failf("doctor has no remedy: %v", found)
	}
	run("sh", "-c", found[0].Mend)
	run("systemctl", "is-active", "mfad.service", "mfad.socket")
	check(loginByEmail("alice"))
}

// reload sees systemctl reload fail where the configuration is refused, and say why;
// and be content where it is taken, naming what waits for a restart.
func reload(*memory) {
	good, back := inForce()
	pid, began := daemonPID(), time.Now()
	write(toml, "nonsense = true\n"+good)
	if said, err := attempt("systemctl", "reload", "mfad.service"); err == nil {
		failf("a refused configuration is reloaded: %s", said)
	}
	contains(journal(began), "nonsense")
	status, _ := attempt("systemctl", "--no-pager", "status", "mfad.service")
	contains(status, "The configuration was refused, and the one before counts")
	contains(status, "nonsense")
	if daemonPID() != pid || unit("ActiveState") != "active" {
		failf("the daemon is not what it was")
	}
	check(loginByEmail("alice"))

	const key = "server.max_logins"
	write(toml, key+" = 512\n"+good)
	run("systemctl", "reload", "mfad.service")
	contains(run("mfad", "--check"), key)
	contains(run("mfactl", "status"), key)
	if found := find("restart-needed"); len(found) != 1 || !strings.Contains(found[0].What, key) {
		failf("doctor does not name %s: %v", key, found)
	} else {
		run("sh", "-c", found[0].Mend)
	}
	for _, said := range []string{run("mfad", "--check"), run("mfactl", "status")} {
		if strings.Contains(said, key) {
			failf("after the restart:\n%s", said)
		}
	}
	back()
	run("systemctl", "restart", "mfad.service")
}

var (
	toldToRun = regexp.MustCompile(`run (mfad --new-state)`)
	toldNext  = regexp.MustCompile(`Now: (.*)`)
)

// lostState takes the database away. The daemon refuses to begin anew; its own words,
// done as they stand, let people in again, but no code that was used.
func lostState(m *memory) {
	eventually("a step of the app that is not used", func() bool { return time.Now().Unix()/period+1 > m.Step })
	m.Step = time.Now().Unix()/period + 1
	l := begin("bob")
	l.expect("Code")
	used := m.codeAt(m.Step)
	l.send(used)
	l.in()

	good, back := inForce()
	wide := strings.Replace(good, "[totp]\n", "[totp]\nskew = 8\n", 1) // so that it stays in time for the whole step
	if wide == good {
		failf("no [totp] in %s", good)
	}
	write(toml, wide)
	began := time.Now()
	run("systemctl", "stop", "mfad.socket", "mfad.service")
	check(os.Remove("/var/lib/mfa/state.db"))
	run("systemctl", "start", "mfad.socket")
	if said, err := attempt("systemctl", "start", "mfad.service"); err == nil {
		failf("it begins anew in silence: %s", said)
	}
	if loginErr := byPassword("bob"); loginErr == nil {
		failf("the password alone lets in")
	}
	eventually("systemd gives up", func() bool { return unit("ActiveState") == "failed" })
	remedy := toldToRun.FindStringSubmatch(journal(began))
	if remedy == nil {
		failf("the journal has no remedy:\n%s", journal(began))
	}
	next := toldNext.FindStringSubmatch(run("sh", "-c", remedy[1]))
	if next == nil {
		failf("%s does not say how it goes on", remedy[1])
	}
	run("sh", "-c", next[1])
	run("systemctl", "is-active", "mfad.service", "mfad.socket")
	m.Step = max(m.Step, time.Now().Unix()/period+1) // what counts as used

	l = begin("bob")
	l.expect("Code")
	l.send(used)
	contains(l.expect("Code"), "used already")
	l.leave()
	back()
	run("systemctl", "reload", "mfad.service")
	check(loginByEmail("alice"))
	loginByApp(m)
}

// timedate is systemd-timedated as the test has it.
type timedate struct{ synchronised bool }

// Get answers org.freedesktop.DBus.Properties.Get.
func (t *timedate) Get(_, property string) (dbus.Variant, *dbus.Error) {
	if property != "NTPSynchronized" {
		return dbus.Variant{}, dbus.MakeFailedError(os.ErrNotExist)
	}
	return dbus.MakeVariant(t.synchronised), nil
}

// clockAsked lets the confined daemon, which may not ask the kernel, ask
// systemd-timedated whether the clock is right. An administrator who sets the period
// of an app from 15 to 30 seconds makes the step that was used last one of a time that
// has not come: only under a clock that is right a code counts then.
func clockAsked(m *memory) {
	record := "/var/lib/mfa/users/bob.toml"
	text := read(record)
	changed := strings.Replace(text, `period = "15s"`, `period = "30s"`, 1)
	if changed == text {
		failf("no period in:\n%s", text)
	}
	write(record, changed) // in place: it stays mfad's
	defer write(record, text)
	began := time.Now()
	isIn := func() bool {
		l := begin("bob")
		l.expect("Code")
		l.send(m.codeOf(30, time.Now().Unix()/30))
		return l.outcome() == nil
	}
	run("systemctl", "stop", "systemd-timedated.service")
	in := isIn()
	run("systemctl", "is-active", "systemd-timedated.service") // the daemon has started it
	said := run("busctl", "get-property", "org.freedesktop.timedate1", "/org/freedesktop/timedate1",
		"org.freedesktop.timedate1", "NTPSynchronized")
	if is := strings.TrimSpace(said) == "b true"; is != in {
		failf("systemd-timedated says %s, and bob is let in: %v", said, in)
	}
	if in {
		return // the step that was used is one of today again
	}
	contains(journal(began), "nothing says that the clock of this machine is right now")

	run("systemctl", "stop", "systemd-timedated.service")
	bus, err := dbus.ConnectSystemBus()
	check(err)
	defer bus.Close()
	check(bus.Export(&timedate{true}, "/org/freedesktop/timedate1", "org.freedesktop.DBus.Properties"))
	if reply, err := bus.RequestName("org.freedesktop.timedate1", dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		failf("the name of systemd-timedated: %v, %v", reply, err)
	}
	run("systemctl", "restart", "mfad.service") // it asks once in ten seconds
	if !isIn() {
		failf("the clock is right, and bob is refused:\n%s", journal(began))
	}
}
