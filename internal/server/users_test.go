package server

import (
	"context"
	"strings"
	"testing"

	"mfa/internal/host/nss"
	"mfa/internal/mfa"
)

// enrolled puts a user with an address into the store.
func enrolled(t *testing.T, path, name string) {
	t.Helper()
	if code, out := call(t, path, 0, "PUT", "/v1/users/"+name+"/email", `{"address": "`+name+`@example.com"}`); code != 200 {
		t.Fatal(code, out)
	}
}

func TestUsersIsAStream(t *testing.T) {
	path, records := controlDesk(t, "")
	enrolled(t, path, "alice")
	err := records.UpdateState(t.Context(), "bob", func(st *mfa.State) error { st.UID, st.LockedHard = 7, true; return nil })
	if err != nil {
		t.Fatal(err)
	}
	for query, address := range map[string]string{"": "a***e@example.com", "?reveal=true": "alice@example.com"} {
		code, out := call(t, path, 0, "GET", "/v1/users"+query, "")
		if code != 200 || out["total"] != 2.0 { // the first line
			t.Errorf("%d %v", code, out)
		}
		lines := callLines(t, path, 0, "GET", "/v1/users"+query, "")[1:]
		if len(lines) != 4 || !strings.Contains(lines[1], `"`+address+`"`) || !strings.Contains(lines[2], `"user":"bob","uid":7,`) ||
			lines[3] != `{"end":true}` {
			t.Errorf("%q: %q", query, lines)
		}
	}
}

// A beginning that is refused has a status; a question that may not be asked has no answer.
func TestStreamRefused(t *testing.T) {
	path, _ := controlDesk(t, "mfa-admin")
	enrolled(t, path, "alice")
	if code, out := call(t, path, 65534, "GET", "/v1/users", ""); code != 403 || out["total"] != nil || out["error"] == "" {
		t.Errorf("%d %v", code, out)
	}
}

// Of accounts that the machine's file has NSS is asked for none, and the answer is the
// same as if it had been asked for each.
func TestNamesOfManyAskNSSForFew(t *testing.T) {
	ids := []mfa.Identity{{Name: "root", UID: 0}, {Name: "toor", UID: 0}, {Name: "gone", UID: 4000000000}}
	for range 1000 {
		ids = append(ids, mfa.Identity{Name: "root", UID: 0})
	}
	asked := 0
	few := accountNames{plain: nss.ReadPlain(), look: func(ctx context.Context, uid uint32) (mfa.Identity, error) {
		asked++
		return nss.LookupUID(ctx, uid)
	}}
	each := accountNames{look: nss.LookupUID}
	for _, id := range ids {
		name, err := few.otherName(t.Context(), id)
		want, wantErr := each.otherName(t.Context(), id)
		if name != want || err != nil || wantErr != nil {
			t.Errorf("%+v: %q, %v; want %q, %v", id, name, err, want, wantErr)
		}
	}
	if asked != 2 { // for the alias, and for nobody
		t.Errorf("NSS was asked %d times for %d names", asked, len(ids))
	}
}

// BenchmarkNames is a row of a list of users, with the file of accounts as it is here.
func BenchmarkNames(b *testing.B) {
	for name, plain := range map[string]nss.Plain{"each": {}, "few": nss.ReadPlain()} {
		b.Run(name, func(b *testing.B) {
			r := accountNames{plain: plain, look: nss.LookupUID}
			for b.Loop() {
				if _, err := r.otherName(b.Context(), mfa.Identity{Name: "root"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReadPlain(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		nss.ReadPlain()
	}
}
