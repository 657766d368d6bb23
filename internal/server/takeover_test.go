package server

import (
	"fmt"
	"testing"
)

const importBody = `{"uid": %d, "source": "google-authenticator", "last_step": 1,
	"totp": {"secret": "%s", "digits": 6, "period": "30s", "algorithm": "SHA1"}, "backup_codes": ["12345678"]}`

func TestImportIsHeldToItsAccount(t *testing.T) {
	path, records := controlDesk(t, "")
	const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	good := fmt.Sprintf(importBody, 1000, secret)
	for _, step := range []struct {
		uid        uint32
		user, body string
		code       int
	}{
		{65534, "alice", good, 403},
		{65534, "nobody", good, 403},
		{0, "alice", fmt.Sprintf(importBody, 1001, secret), 409},
		{0, "alice", fmt.Sprintf(importBody, 1000, "short"), 400},
		{0, "alice", `{"uid": 1000}`, 400},
		{0, "alice", `{"uid": 1000, "secrets": 1}`, 400},
		{0, "nobody-here", good, 404},
	} {
		if code, out := call(t, path, step.uid, "POST", "/v1/users/"+step.user+"/import", step.body); code != step.code {
			t.Errorf("%s %s: %d %v, want %d", step.user, step.body, code, out, step.code)
		}
	}
	if keys, err := records.S.Keys(t.Context(), ""); err != nil || len(keys) != 0 {
		t.Fatalf("stored: %q %v", keys, err)
	}
	if code, out := call(t, path, 0, "POST", "/v1/users/alice/import", good); code != 200 || out["app"] != "new" || out["codes"] != "new" {
		t.Errorf("%d %v", code, out)
	}
}

// A token is found again by two codes in a row and by nothing less. One code alone made a new
// token in the place of the one that was there.
func TestATokenIsFoundByTwoCodes(t *testing.T) {
	path, records := controlDesk(t, "")
	const secret = "3132333435363738393031323334353637383930" // of RFC 4226, appendix D
	if code, out := call(t, path, 0, "POST", "/v1/users/alice/hotp", `{"secret": "`+secret+`", "serial": "7"}`); code != 200 {
		t.Fatalf("%d %v", code, out)
	}
	before, err := records.Enrollment(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]int{
		`{"codes": ["755224"]}`:                                       400,
		`{"codes": ["755224", "287082", "359152"]}`:                   400,
		`{"codes": ["755224", "287082"], "serial": "8"}`:              400,
		`{"codes": ["755224", "287082"], "secret": "` + secret + `"}`: 400,
		`{"codes": ["755224", "359152"]}`:                             400, // not in a row
		`{"codes": ["755224", "755224"]}`:                             400,
		`{"codes": ["755224", "287082"]}`:                             200,
	} {
		if code, out := call(t, path, 0, "POST", "/v1/users/alice/hotp", body); code != want {
			t.Errorf("%s: %d %v, want %d", body, code, out, want)
		}
	}
	if after, err := records.Enrollment(t.Context(), "alice"); err != nil || after.HOTP.Secret != before.HOTP.Secret {
		t.Errorf("alice has %+v, %v", after.HOTP, err)
	}
}
