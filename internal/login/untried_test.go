package login

import (
	"testing"

	"mfa/internal/mfa"
)

// A login that ends at a lock is a guess only if a code that was not right was typed in
// it: fail2ban counts by that.
func TestUntried(t *testing.T) {
	d := newRecovering(t)
	ends := func(want bool, steps ...step) {
		t.Helper()
		v, _ := d.engine.Login(t.Context(), request("alice"), &script{t: t, steps: steps})
		if v.Outcome != mfa.Exhausted || v.Untried != want {
			t.Errorf("%+v, want untried %v", v, want)
		}
	}
	ends(false, wrong("sent"), wrong("2 tries"), wrong("One try"), step{want: "ends here"})
	d.update("alice", func(st *mfa.State) { st.Unlock() })
	d.lock()
	d.recovery(1)
	ends(true, step{"Recovery code", say(""), nil}, step{want: "ends here"})
	ends(false, step{"Recovery code", say("2222-2222-2222-2222"), nil}, step{"not right", say(""), nil}, step{want: "ends here"})
	d.update("alice", func(st *mfa.State) { st.Unlock(); st.LockedHard, st.LockedBy = true, "root" })
	ends(true, step{want: "locked"})
}
