package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// onBoth names the tests that run on both Debians that people have: all of them on
// this machine's, and these in a root of the other one too, with the other one's
// libpam, libc, sshd, ssh, sudo and su. Here belongs what can come out differently
// there: one test for each way in, and whatever reads what the machine's programs
// and PAM files say. What only mfad decides (policy, locks, texts, mails) is the same
// program on both, and is not run twice: a name costs 2 seconds.
var onBoth = []string{
	"TestManualPasswordAndCode",
	"TestManualKeyAndCode",
	"TestManualPasswordTriedFirst",
	"TestPasswordMethod",
	"TestPasswordThenKeyboardInteractiveInOneConnection",
	"TestRecoverableControlRefusesLikeRequired",
	"TestWrongPasswordSendsNoMail",
	"TestUnknownUserSeesTheSamePrompts",
	"TestBatchModeIsRefused",
	"TestWithoutTerminalIsRefused",
	"TestNoThreadsInSSHD",
	"TestThirdWrongCodeEndsTheConversation",
	"TestDaemonNotRunningIsDenied",
	"TestClientGoneIsDroppedAtOnceAndNotCounted",
	"TestRememberedByKeyAndAddress",
	"TestManualPasswordChange",
	"TestLifeOfASecondFactor",
	"TestASSHShellIsToldOnce",
	"TestSixtyColumnsAndFewMessages",
	"TestQRCodeInASCIICrossesSSHD",
	"TestRuleByFirstFactor",
	"TestPasswordChangeWhereItCanBe",
	"TestRobotBehindKeyboardInteractive",
	"TestSudoIsToldWhatItMustKnow",
	"TestSudoIsToldThatNobodyIsEnrolled",
	"TestSudoIsToldThatTheDaemonIsAway",
	"TestSudo",
	"TestSu",
	"TestGroupLookUpThatFailsDenies",
	"TestTryTheStack",
	"TestSetupSSHD",
	"TestSetupRefusesWhatCannotWork",
	"TestDoctorOnARealMachine",
	"TestOneLinePrograms$/^(sshd_password|openvpn|dovecot|vsftpd|PostgreSQL|saslauthd)",
	"TestOneLineStaticChallenge",
	"TestOneLineInOneConnection",
	"TestOneLineTextAndCall",
	"TestSetupOneLine",
	"TestDirectoryOfUserdbd",
	"TestDirectoryHasTheAddress",
	"TestTextsByAProxy",
	"TestTokenOverSSH",
	"TestImportAppsThatCount",
}

// otherDebian names the Debian that this machine is not.
func otherDebian() string {
	text, err := os.ReadFile("/etc/os-release")
	if err == nil && strings.Contains(string(text), "VERSION_CODENAME=bookworm") {
		return "trixie"
	}
	return "bookworm"
}

// debianFolder is where a small Debian of that release is kept between runs, with the
// programs that ask one question.
func debianFolder(release string) string { return "/var/cache/mfa-e2e/programs-" + release }

// otherPrograms are the packages that the other Debian needs beside those of debian.sh.
var otherPrograms = []string{
	"vsftpd", "sasl2-bin", "openvpn", "dovecot-imapd", "postgresql", "slapd", "tinyproxy-bin", "systemd-userdbd", "pskctool", "libpam-oath",
}

// fetchOtherDebian makes that folder. It runs before there are namespaces, and leaves
// it to the tests that want the folder to fail without it.
func fetchOtherDebian() {
	release := otherDebian()
	cmd := exec.Command(filepath.Join(moduleRoot(), "e2e", "debian.sh"), append([]string{release, debianFolder(release)}, otherPrograms...)...)
	cmd.Stderr = os.Stderr
	_ = cmd.Run()
}

// withinRoot names, in the environment, the folder that a run takes for its root.
const withinRoot = "MFA_E2E_ROOT"

// enterRoot makes the folder the root of this process, shows the module within it,
// and runs this binary again there, with the libraries of that root. It returns only
// if it cannot.
func enterRoot(root string) error {
	module := moduleRoot()
	if err := errors.Join(os.Unsetenv(withinRoot), os.MkdirAll(root+module, 0o755),
		mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		mount(root, root, "", unix.MS_BIND, ""),
		mount(module, root+module, "", unix.MS_BIND, ""),
		mount("/dev", root+"/dev", "", unix.MS_BIND|unix.MS_REC, ""),
		mount("/sys", root+"/sys", "", unix.MS_BIND|unix.MS_REC, ""),
		mount("proc", root+"/proc", "proc", 0, "")); err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err := errors.Join(err, unix.Chroot(root), unix.Chdir(dir)); err != nil {
		return err
	}
	return unix.Exec("/proc/self/exe", os.Args, os.Environ())
}

// Each test has a root, namespaces and accounts of its own: nothing that another one
// did to /etc can be in its way.
func TestOnTheOtherDebian(t *testing.T) {
	release := otherDebian()
	root := debianFolder(release)
	if _, err := os.Stat(root + "/usr/sbin/sshd"); err != nil {
		if os.Getenv("CI") != "true" {
			t.Skipf("no Debian %s: e2e/debian.sh needs the network and the package debootstrap, once", release)
		}
		t.Fatal(err)
	}
	for _, run := range onBoth {
		name, _, _ := strings.Cut(run, "$") // subtests may follow
		t.Run(name, func(t *testing.T) {
			// The kernel sends Pdeathsig when the thread that forked ends.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+run+"$", "-test.v", "-test.timeout=5m")
			cmd.Env = append(os.Environ(), withinRoot+"="+root)
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL}
			cmd.WaitDelay = time.Second
			said, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(said), "--- PASS: "+name) {
				t.Errorf("on Debian %s: %v\n%s", release, err, said)
			}
		})
	}
}
