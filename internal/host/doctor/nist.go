package doctor

import (
	"context"
	"strings"
)

// nist: what of mfa.toml NIST SP 800-63B-4 does not allow, or allows on conditions that
// mfad cannot meet.
func (e *exam) nist(context.Context) {
	if !e.known {
		return
	}
	against := e.cfg.AgainstNIST()
	switch {
	case e.cfg.Policy.Nist && e.cfg.Sends():
		e.add(Finding{
			Warning, "nist", e.Config, "counts text messages or calls, which NIST SP 800-63B-4 restricts",
			"Users have to be told of the risk and of what they can have in their place, and your risk assessment has to accept it (3.2.9).",
			"do so, or take \"sms\" and \"call\" out of policy.methods",
		})
	case e.cfg.Policy.Nist:
		e.ok("nist", e.Config, "has nothing that NIST SP 800-63B-4 does not allow")
	case len(against) > 0:
		e.ok("nist", e.Config, "does not ask for NIST SP 800-63B-4 (policy.nist), which does not allow what these say: "+strings.Join(against, ", "))
	}
}
