package mfa

import (
	"testing"
	"time"
)

func TestRevoke(t *testing.T) {
	st := State{Sessions: []Session{{ID: "a"}, {ID: "b"}, {ID: "c"}}}
	if st.RevokeSession("x") || len(st.Sessions) != 3 {
		t.Errorf("an unknown one: %+v", st)
	}
	if !st.RevokeSession("b") || len(st.Sessions) != 2 || st.Sessions[1].ID != "c" {
		t.Errorf("one: %+v", st)
	}
	if n := st.RevokeSessions(); n != 2 || st.Sessions != nil {
		t.Errorf("all: %d, %+v", n, st)
	}
	if n := st.RevokeSessions(); n != 0 {
		t.Errorf("none: %d", n)
	}
}

// Every change of a method shows, and nothing else.
func TestFingerprint(t *testing.T) {
	base := func() Enrollment {
		return Enrollment{
			Version: 1, UID: 1000, Generation: 1, Email: &Address{Address: "a@example.com"},
			TOTP: &TOTPSecret{Secret: "s"}, Backup: &BackupSet{ID: "b"},
		}
	}
	before := base().Fingerprint()
	for name, change := range map[string]func(*Enrollment){
		"uid":         func(en *Enrollment) { en.UID = 1 },
		"generation":  func(en *Enrollment) { en.Generation = 2 },
		"skipped":     func(en *Enrollment) { en.Skipped = &time.Time{} },
		"address":     func(en *Enrollment) { en.Email.Address = "b@example.com" },
		"number":      func(en *Enrollment) { en.SMS = &Address{Address: "+1"} },
		"no address":  func(en *Enrollment) { en.Email = nil },
		"app":         func(en *Enrollment) { en.TOTP.Secret = "t" },
		"no app":      func(en *Enrollment) { en.TOTP = nil },
		"other codes": func(en *Enrollment) { en.Backup.ID = "c" },
		"no codes":    func(en *Enrollment) { en.Backup = nil },
	} {
		en := base()
		change(&en)
		if en.Fingerprint() == before {
			t.Errorf("%s: no change shows", name)
		}
	}
	same := base()
	same.Version, same.Preferred, same.Language = 2, Email, "de"
	same.Email.Confirmed, same.Email.AddedBy = time.Unix(1, 0), "root"
	if same.Fingerprint() != before {
		t.Error("what is no method shows")
	}
	if same.Email.Confirmed.IsZero() || same.Preferred != Email {
		t.Error("the enrollment was changed")
	}
	if (Enrollment{}).Fingerprint() == "" {
		t.Error("nothing has no fingerprint")
	}
}
