package packages

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSELinux loads the compiled policy into Debian's, beside nobody's kernel, and
// sees that sshd, sudo and login reach the sockets, and others do not.
func TestSELinux(t *testing.T) {
	folder := t.TempDir()
	say(t, time.Minute, "dpkg-deb", "-x", dist(t, "amd64.deb"), folder)
	policy := compilePolicy(t, folder+"/usr/share/selinux/packages/mfa.pp")
	for _, domain := range []string{"sshd_t", "local_login_t", "sysadm_sudo_t", "xdm_t"} {
		for _, rule := range [][]string{
			{"-t", "mfad_runtime_t", "-c", "sock_file", "-p", "write"},
			{"-t", "mfad_t", "-c", "unix_stream_socket", "-p", "connectto"},
			{"-t", "init_t", "-c", "unix_stream_socket", "-p", "connectto"},
		} {
			if said := say(t, time.Minute, "sesearch", append([]string{"-A", "-s", domain}, append(rule, policy)...)...); !strings.Contains(said, "allow") {
				t.Errorf("%s may not %v", domain, rule)
			}
		}
	}
	if said := say(t, time.Minute, "sesearch", "-A", "-s", "ntpd_t", "-t", "mfad_runtime_t", "-c", "sock_file", "-p", "write", policy); strings.Contains(said, "allow") {
		t.Errorf("ntpd may: %s", said)
	}
}

// compilePolicy links the module to Debian's policy in a root of its own and
// returns the policy that a kernel would load.
func compilePolicy(t *testing.T, module string) string {
	t.Helper()
	asRoot(t)
	for _, tool := range []string{"semodule", "sesearch"} {
		_, err := exec.LookPath(tool)
		need(t, tool, err == nil)
	}
	base := filepath.Join(cache, "selinux")
	said, err := attempt(t, 10*time.Minute, "./selinux.sh", base)
	if err != nil {
		t.Log(said)
	}
	need(t, "Debian's SELinux policy (selinux.sh)", err == nil)
	here := t.TempDir()
	say(t, time.Minute, "cp", "-a", base+"/.", here)
	say(t, 5*time.Minute, "semodule", "-p", here, "-s", "default", "-n", "-N", "-X", "400", "-i", module)
	found, err := filepath.Glob(here + "/etc/selinux/default/policy/policy.*")
	if err != nil || len(found) != 1 {
		t.Fatalf("policies: %v, %v", found, err)
	}
	return found[0]
}
