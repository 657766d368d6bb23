package seal

import (
	"bytes"
	"strings"
	"testing"
)

func TestSealThenOpen(t *testing.T) {
	k := newKey(ring{{1}})
	for _, plain := range []string{"", "x", "a secret of twenty b", strings.Repeat("long ", 1000)} {
		sealed := k.Seal([]byte(plain), "alice", "totp.secret")
		if !strings.HasPrefix(sealed, "v1.") || (len(plain) > 8 && strings.Contains(sealed, plain)) {
			t.Errorf("sealed %q", sealed)
		}
		if again := k.Seal([]byte(plain), "alice", "totp.secret"); again == sealed {
			t.Error("the nonce was used twice")
		}
		got, err := k.Open(sealed, "alice", "totp.secret")
		if err != nil || string(got) != plain {
			t.Errorf("opened %q %v, want %q", got, err, plain)
		}
	}
}

func TestOpenRefusesWhatWasNotSealedForIt(t *testing.T) {
	k := newKey(ring{{1}})
	other := newKey(ring{{2}})
	const plain = "a secret of twenty b"
	sealed := k.Seal([]byte(plain), "alice", "totp.secret")
	for name, tc := range map[string]struct {
		key                 *Key
		sealed, user, field string
		want                string
	}{
		"key":        {other, sealed, "alice", "totp.secret", "another key"},
		"user":       {k, sealed, "bob", "totp.secret", "another user"},
		"field":      {k, sealed, "alice", "recovery", "another user or field"},
		"border":     {k, sealed, "alicet", "otp.secret", "another user"},
		"version":    {k, "v2." + sealed[3:], "alice", "totp.secret", "not a sealed secret"},
		"no version": {k, sealed[3:], "alice", "totp.secret", "not a sealed secret"},
		"no base64":  {k, sealed + "!", "alice", "totp.secret", "not a sealed secret"},
		"clear":      {k, plain, "alice", "totp.secret", "not a sealed secret"},
		"empty":      {k, "", "alice", "totp.secret", "not a sealed secret"},
		"short":      {k, "v1.AAAA", "alice", "totp.secret", "not a sealed secret"},
		"cut":        {k, sealed[:len(sealed)-4], "alice", "totp.secret", "changed since"},
		"lengthier":  {k, sealed + "AAAA", "alice", "totp.secret", "changed since"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.key.Open(tc.sealed, tc.user, tc.field)
			if err == nil || got != nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("opened %q: %v, want %q", got, err, tc.want)
			}
			if strings.Contains(err.Error(), plain) || strings.Contains(err.Error(), sealed[3:20]) {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

func TestOpenRefusesEveryChangedByte(t *testing.T) {
	k := newKey(ring{{1}})
	box, err := boxText.DecodeString(k.Seal([]byte("secret"), "alice", "f")[len(boxVersion):])
	if err != nil {
		t.Fatal(err)
	}
	for i := range box {
		changed := bytes.Clone(box)
		changed[i] ^= 1
		if _, err := k.Open(boxVersion+boxText.EncodeToString(changed), "alice", "f"); err == nil {
			t.Errorf("byte %d may change", i)
		}
	}
}

// The key of boxes and the keys of hashes must differ whatever the purpose is.
func TestBoxInfoIsNoPurposeOfMAC(t *testing.T) {
	if strings.HasPrefix(boxInfo, "mfa ") {
		t.Errorf("MAC(%q) has the key of the boxes", boxInfo[len("mfa "):])
	}
}

// keptBox was sealed by the first version, for alice, under the key that begins
// with 1. A store that holds it must stay readable.
const keptBox = "v1.yIDkmsRUKOlS1-oGniYXPabDLiuZ7K_8sdsZKx6gRuD6adsQGpSaz8Gn4aBaRuo6dgtf6slUXJK64mPE"

func TestOpenReadsWhatTheFirstVersionSealed(t *testing.T) {
	k := newKey(ring{{1}})
	got, err := k.Open(keptBox, "alice", "totp.secret")
	if err != nil || string(got) != "a secret of twenty b" {
		t.Errorf("opened %q: %v", got, err)
	}
}

func FuzzOpen(f *testing.F) {
	k := newKey(ring{{1}})
	f.Add(keptBox, "alice")
	f.Add(keptBox, "bob")
	f.Add(keptBox[len(boxVersion):], "alice")
	f.Add("v1.", "alice")
	f.Add("v1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "alice")
	f.Fuzz(func(t *testing.T, text, user string) {
		plain, err := k.Open(text, user, "totp.secret")
		// base64 of the standard library skips line ends.
		same := strings.NewReplacer("\n", "", "\r", "").Replace(text) == keptBox
		if (err == nil) != (same && user == "alice") {
			t.Fatalf("opened %q of %q: %q %v", text, user, plain, err)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	k := newKey(ring{{1}})
	sealed := k.Seal(make([]byte, 20), "alice", "totp.secret")
	for b.Loop() {
		if _, err := k.Open(sealed, "alice", "totp.secret"); err != nil {
			b.Fatal(err)
		}
	}
}

// A record opens under the key that sealed it and by its name alone, also when that key is
// a former one, which is said.
func TestRecord(t *testing.T) {
	old := newKey(ring{{1}})
	both := newKey(ring{{2}, {1}})
	for _, plain := range []string{"", "x", strings.Repeat("long ", 1000)} {
		sealed := old.SealRecord([]byte(plain), "/mfa/users/alice")
		for key, wasFormer := range map[*Key]bool{old: false, both: true} {
			got, former, err := key.OpenRecord(sealed, "/mfa/users/alice")
			if err != nil || string(got) != plain || former != wasFormer {
				t.Errorf("opened %q, former %v, %v", got, former, err)
			}
		}
		if again := old.SealRecord([]byte(plain), "/mfa/users/alice"); bytes.Equal(again, sealed) {
			t.Error("the nonce was used twice")
		}
		refused := map[string]struct {
			key    *Key
			sealed []byte
			name   string
			want   string
		}{
			"another key":  {newKey(ring{{2}}), sealed, "/mfa/users/alice", "another key"},
			"another name": {old, sealed, "/mfa/users/bob", "another name"},
			"a secret":     {old, []byte(old.Seal([]byte(plain), "/mfa/users/alice", recordField)), "/mfa/users/alice", "not a sealed record"},
			"nothing":      {old, nil, "/mfa/users/alice", "not a sealed record"},
			"too short":    {old, sealed[:1+24+15], "/mfa/users/alice", "not a sealed record"},
		}
		for i := range sealed[:min(len(sealed), 100)] {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1
			refused[strings.Repeat("byte ", i+1)] = struct {
				key    *Key
				sealed []byte
				name   string
				want   string
			}{old, changed, "/mfa/users/alice", "open record"}
		}
		for what, tc := range refused {
			if got, _, err := tc.key.OpenRecord(tc.sealed, tc.name); err == nil || got != nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%.40s: opened %q: %v, want %q", what, got, err, tc.want)
			}
		}
	}
}
