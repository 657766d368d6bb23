// Guest is the part of the package test that runs within a booted Debian: it
// installs the package, logs in over ssh in every way, upgrades, reboots, removes.
//
// What to know before trusting it: it is the only thing of ours in the system but
// the packages, linked statically, and everything it does is what an administrator
// or a user would type. One step that fails ends it. Each boot runs it once; what a
// later boot must know is kept in a file.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"time"
)

// home is the folder of the test within the system.
const home = "/mfa-test/"

// memory is what outlives a reboot.
type memory struct {
	Boot   int
	Before map[string]string // files before the package came: hashes by path
	Logins map[string]string // the same of what decides logins
	App    string            // the URI of bob's app
	Step   int64             // the last step of it that was used
}

// A step is one thing an administrator or a user does, and what must come of it.
type step struct {
	name string
	run  func(m *memory)
}

// boots are the steps of each boot; behind each the system goes down.
var boots = [][]step{
	{
		{"users log in before there is a package", before},
		{"install: every login stays as it was", install},
		{"the daemon runs, with no rights", confined},
		{"an administrator switches it on for sshd", switchOn},
		{"log in by a code by email", byEmail},
		{"enroll at login, log in by app", byApp},
		{"users that only systemd knows", bySystemdUser},
		{"a file that root has edited", editedByRoot},
		{"the key as an encrypted credential", keyAsCredential},
		{"restart during logins", restart},
		{"upgrade with logins going on", upgrade},
		{"a configuration that the new version refuses", upgradeWithBadConfig},
	},
	{
		{"log in after a reboot", afterReboot},
		{"lock and unlock", lock},
		{"end the logins that run", endLogins},
		{"a configuration that is refused, and the remedy", refusedConfig},
		{"a reload says what came of it", reload},
		{"systemd-timedated knows whether the clock is right", clockAsked},
		{"a program that sends texts, and a modem", confinedProgram},
		{"programs that send mail and know addresses", programs},
		{"no network, where that is enough", localOnly},
		{"what is remembered is lost, and the remedy", lostState},
		{"removing is refused while logins need the module", refuseRemoval},
		{"pam-auth-update, and back by removing", remove},
		{"install it again", installAgain},
		{"a removal that is broken off", brokenOff},
		{"upgrade what an administrator has stopped", upgradeStopped},
		{"purge", purge},
	},
}

func main() {
	m := remember()
	if _, err := os.Stat(home + "threads"); err == nil {
		boots = [][]step{hosts}
	}
	if _, err := os.Stat(playbooks); err == nil {
		boots = [][]step{byAnsible}
	}
	fmt.Printf("guest: boot %d\n", m.Boot+1)
	for _, s := range boots[m.Boot] {
		began := time.Now()
		if err := try(s, m); err != nil {
			fmt.Printf("guest: FAIL %s: %v\n", s.name, err)
			diagnose()
			conclude("FAIL " + s.name + ": " + err.Error())
			os.Exit(1)
		}
		fmt.Printf("guest: ok   %s (%.1f s)\n", s.name, time.Since(began).Seconds())
	}
	m.Boot++
	if m.Boot == len(boots) {
		conclude("ok")
		return
	}
	m.keep()
}

// try runs a step and returns what it panicked with.
func try(s step, m *memory) (err error) {
	defer func() {
		switch fault := recover().(type) {
		case nil:
		case failure:
			err = errors.New(string(fault))
		default:
			err = fmt.Errorf("%v\n%s", fault, debug.Stack())
		}
	}()
	s.run(m)
	return nil
}

// A failure ends a step.
type failure string

func failf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

func check(err error) {
	if err != nil {
		failf("%v", err)
	}
}

// run runs a program and returns what it says; it must end with 0.
func run(name string, args ...string) string {
	said, err := attempt(name, args...)
	if err != nil {
		failf("%s %s: %v\n%s", name, strings.Join(args, " "), err, said)
	}
	return said
}

// attempt runs a program and returns what it says and how it ended.
func attempt(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func write(path, text string) { check(os.WriteFile(path, []byte(text), 0o644)) }

func read(path string) string {
	data, err := os.ReadFile(path)
	check(err)
	return string(data)
}

// eventually waits until f holds.
func eventually(what string, f func() bool) {
	for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			failf("not within 30 s: %s", what)
		}
	}
}

func contains(text, want string) {
	if !strings.Contains(text, want) {
		failf("%q is not in:\n%s", want, text)
	}
}

func remember() *memory {
	m := &memory{}
	if data, err := os.ReadFile(home + "memory"); err == nil {
		check(json.Unmarshal(data, m))
	}
	return m
}

func (m *memory) keep() {
	data, err := json.Marshal(m)
	check(err)
	write(home+"memory", string(data))
}

// conclude leaves the outcome for the host.
func conclude(outcome string) { write(home+"result", outcome) }

// diagnose prints what helps after a failure.
func diagnose() {
	for _, c := range [][]string{
		{"journalctl", "--no-pager", "-n", "100"},
		{"systemctl", "--no-pager", "--failed"},
	} {
		said, _ := attempt(c[0], c[1:]...)
		fmt.Println(said)
	}
}
