package login

import (
	"errors"
	"strings"
	"testing"

	"mfa/internal/mfa"
)

// begun has bob begin an app in a login of req, and hang up. It returns the key.
func (d *harness) begun(req mfa.Request, first ...step) (key string, resumed bool) {
	d.t.Helper()
	s := &script{t: d.t, steps: append(first, step{want: "Key: ", err: errors.New("gone")})}
	s.read = func(text string) {
		if i := strings.Index(text, "Key: "); i >= 0 {
			key, _, _ = strings.Cut(text[i:], "\n")
			resumed = strings.Contains(text, "ago from here")
		}
	}
	if v, err := d.engine.Login(d.t.Context(), req, s); v.Outcome != mfa.NoConversation || len(s.steps) > 0 {
		d.t.Fatalf("%+v %v, left %v", v, err, s.steps)
	}
	return key, resumed
}

// A begun setup goes on from the same service, address and key, asked for by the same
// uid, and only over a network. From anywhere else it is shown to nobody.
func TestBeginningBelongsToItsOrigin(t *testing.T) {
	const key = "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n"
	from := func(change func(*mfa.Request)) mfa.Request {
		req := request("bob")
		change(&req)
		return req
	}
	same := func(*mfa.Request) {}
	for name, tc := range map[string]struct {
		first, second func(*mfa.Request)
		resumes       bool
	}{
		"the same":         {same, same, true},
		"the same, by key": {func(r *mfa.Request) { r.SSHAuthInfo = key }, func(r *mfa.Request) { r.SSHAuthInfo = key }, true},
		"IPv4 as IPv6":     {same, func(r *mfa.Request) { r.RHost = "::ffff:192.0.2.1" }, true},
		"address":          {same, func(r *mfa.Request) { r.RHost = "192.0.2.2" }, false},
		"service":          {same, func(r *mfa.Request) { r.Service = "sudo" }, false},
		"a key now":        {same, func(r *mfa.Request) { r.SSHAuthInfo = key }, false},
		"no key now":       {func(r *mfa.Request) { r.SSHAuthInfo = key }, same, false},
		"a program's word": {func(r *mfa.Request) { r.UID = 1001 }, same, false},
		"to a program":     {same, func(r *mfa.Request) { r.UID = 1001 }, false},
		"a program's own":  {func(r *mfa.Request) { r.UID = 1001 }, func(r *mfa.Request) { r.UID = 1001 }, false},
		"local":            {func(r *mfa.Request) { r.RHost = "" }, func(r *mfa.Request) { r.RHost = "" }, false},
		"host name":        {func(r *mfa.Request) { r.RHost = "a.example" }, func(r *mfa.Request) { r.RHost = "a.example" }, false},
		"link-local":       {func(r *mfa.Request) { r.RHost = "fe80::1%eth0" }, func(r *mfa.Request) { r.RHost = "fe80::1%eth1" }, false},
		"loopback":         {func(r *mfa.Request) { r.RHost = "127.0.0.1" }, func(r *mfa.Request) { r.RHost = "127.0.0.1" }, true},
		"unspecified":      {func(r *mfa.Request) { r.RHost = "0.0.0.0" }, func(r *mfa.Request) { r.RHost = "0.0.0.0" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newHarness(t, enrolling)
			choose := step{"Choose one", say("1"), nil}
			first, _ := d.begun(from(tc.first), choose)
			var steps []step
			if !tc.resumes {
				steps = append(steps, choose)
			}
			second, resumed := d.begun(from(tc.second), steps...)
			if (first == second) != tc.resumes || resumed != tc.resumes {
				t.Errorf("first %s, then %s, resumed %v", first, second, resumed)
			}
		})
	}
}

// A setup that an older version began has no origin, and is void.
func TestBeginningOfAnOlderVersionIsVoid(t *testing.T) {
	d := newHarness(t, enrolling)
	choose := step{"Choose one", say("1"), nil}
	first, _ := d.begun(request("bob"), choose)
	d.update("bob", func(st *mfa.State) { st.Enrolling.ID, st.Enrolling.Origin = "", "" })
	if second, _ := d.begun(request("bob"), choose); second == first {
		t.Error("the key is shown again")
	}
}
