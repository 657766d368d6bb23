package packages

import (
	"testing"
	"time"
)

// controller are Debian's packages that a machine needs to run Ansible, and to be run by it.
// debootstrap does not find the last, which another one asks for by a virtual name.
var controller = []string{"ansible-core", "python3-apt", "python3-cffi-backend"}

// TestAnsible has the role of packaging/ansible keep a machine, on both Debians with their
// own Ansible, over ssh (guest/ansible.go). It types what docs/ansible.md shows.
func TestAnsible(t *testing.T) {
	program := build(t, "./guest", "CGO_ENABLED=0")
	for _, release := range []string{"bookworm", "trixie"} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			here := over(t, fetched(t, "ansible-"+release, release, controller))
			furnish(t, here, program, dist(t, "amd64.deb"))
			say(t, time.Minute, "cp", "-a", root+"/packaging/ansible", here+"/mfa-test/ansible")
			install(t, here+"/mfa-test/ansible/page.md", root+"/docs/ansible.md", 0o644)
			live(t, here)
		})
	}
}
