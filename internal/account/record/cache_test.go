package record

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"mfa/internal/mfa"
)

// text is an enrollment with everything in it, as it is stored.
func text(t testing.TB, address string) []byte {
	t.Helper()
	at := time.Unix(1700000000, 0).UTC()
	b, err := EncodeEnrollment("alice", mfa.Enrollment{
		UID: 1000, Preferred: mfa.TOTP, Skipped: &at,
		Email: &mfa.Address{Address: address, Confirmed: at}, SMS: &mfa.Address{Address: "+17891234567"},
		TOTP:   &mfa.TOTPSecret{Secret: "v1.x", Algorithm: "SHA1", Digits: 6, Period: mfa.Duration(30 * time.Second), Confirmed: at},
		Backup: &mfa.BackupSet{ID: "set", Salt: "c2FsdA", Memory: 8, Time: 1, Threads: 1, Hashes: []string{"aGFzaA", "aGFzaDI"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// read has p read data, and checks that it reads what DecodeEnrollment does.
func read(t *testing.T, p *Cache, place string, data []byte) mfa.Enrollment {
	t.Helper()
	got, err := p.DecodeEnrollment(place, data)
	want, wantErr := DecodeEnrollment(place, data)
	if !reflect.DeepEqual(got, want) || (err == nil) != (wantErr == nil) {
		t.Fatalf("read %+v, %v; want %+v, %v", got, err, want, wantErr)
	}
	return got
}

func TestParsedGoesByTheText(t *testing.T) {
	p := NewCache()
	one, two := text(t, "a@example.com"), text(t, "b@example.com")
	for range 2 {
		for _, data := range [][]byte{one, two, one, one[:len(one)/2], []byte("uid = "), nil, two} {
			read(t, p, "alice", data)
			read(t, p, "bob", data)
		}
	}
	read(t, nil, "alice", one)
}

// A bad text is an error each time, and does not become good by what was there before.
func TestParsedKeepsNoError(t *testing.T) {
	p := NewCache()
	good := text(t, "a@example.com")
	bad := append(good[:len(good):len(good)], "\nadmin = true\n"...)
	read(t, p, "alice", good)
	for range 2 {
		if _, err := p.DecodeEnrollment("alice", bad); err == nil || !strings.Contains(err.Error(), "alice") {
			t.Errorf("read: %v", err)
		}
	}
}

// Nobody gets what another made of an enrollment, or of the bytes it was read from.
func TestParsedIsNobodysToChange(t *testing.T) {
	p := NewCache()
	data := text(t, "a@example.com")
	for range 3 {
		mine := []byte(string(data))
		en := read(t, p, "alice", mine)
		clear(mine)
		en.Email.Address, en.SMS.Address, en.TOTP.Secret, en.Backup.Hashes[0] = "evil@example.com", "+1", "mine", "mine"
		*en.Skipped = time.Time{}
	}
	read(t, p, "alice", data)
}

func TestParsedIsBounded(t *testing.T) {
	p := NewCache()
	data := text(t, "a@example.com")
	for i := range maxCached + 10 {
		if _, err := p.DecodeEnrollment(fmt.Sprint(i), data); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.of) != maxCached {
		t.Errorf("%d are kept, want %d", len(p.of), maxCached)
	}
	long := append(data[:len(data):len(data)], "# "+strings.Repeat("x", maxText)...)
	read(t, p, "long", long)
	if p.of["long"] != nil {
		t.Error("a long one is kept")
	}
}

func TestParsedByMany(t *testing.T) {
	p := NewCache()
	one, two := text(t, "a@example.com"), text(t, "b@example.com")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 200 {
				data, want := one, "a@example.com"
				if (i+j)%2 == 0 {
					data, want = two, "b@example.com"
				}
				en, err := p.DecodeEnrollment("alice", data)
				if err != nil || en.Email.Address != want {
					t.Errorf("read %v, %v; want %s", en.Email, err, want)
					return
				}
				en.Email.Address = "evil@example.com"
			}
		})
	}
	wg.Wait()
}

func BenchmarkDecodeEnrollment(b *testing.B) {
	data := text(b, "a@example.com")
	for name, p := range map[string]*Cache{"anew": nil, "kept": NewCache()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.DecodeEnrollment("alice", data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
