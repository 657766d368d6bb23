package factor

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"math"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"mfa/internal/mfa"
)

// cheapSet is a set of these codes that costs next to nothing to try.
func cheapSet(codes ...string) mfa.BackupSet {
	salt := bytes.Repeat([]byte{7}, backupSaltSize)
	set := mfa.BackupSet{ID: "cheap", Salt: base64.RawStdEncoding.EncodeToString(salt), Memory: 8, Time: 1, Threads: 1}
	for _, code := range codes {
		hash := backupHash(set, strings.ReplaceAll(code, "-", ""), salt)
		set.Hashes = append(set.Hashes, base64.RawStdEncoding.EncodeToString(hash))
	}
	return set
}

func TestBackupCodesAreEasyToCopyAndHardToGuess(t *testing.T) {
	codes, set, err := NewBackupSet(rand.Reader, 3)
	if err != nil {
		t.Fatal(err)
	}
	if len(codes) != 3 || len(set.Hashes) != 3 {
		t.Fatalf("%d codes, %d hashes", len(codes), len(set.Hashes))
	}
	shape := regexp.MustCompile(`^[2-9acdefhjkmnprtvwxy]{4}(-[2-9acdefhjkmnprtvwxy]{4}){3}$`)
	for _, code := range codes {
		if !shape.MatchString(code) {
			t.Errorf("code %q", code)
		}
	}
	if bits := backupSymbols*math.Log2(float64(len(backupAlphabet))) - math.Log2(maxBackupCodes); bits < 64 {
		t.Errorf("%.1f bits", bits)
	}
	for i, code := range codes {
		if at, ok, err := MatchBackup(set, code); at != i || !ok || err != nil {
			t.Errorf("code %d: %d %v %v", i, at, ok, err)
		}
	}
}

func TestEveryBackupSetIsAnother(t *testing.T) {
	codes, set, err := NewBackupSet(rand.Reader, 1)
	if err != nil {
		t.Fatal(err)
	}
	again, other, err := NewBackupSet(rand.Reader, 1)
	if err != nil {
		t.Fatal(err)
	}
	if codes[0] == again[0] || set.ID == other.ID || set.Salt == other.Salt || set.Hashes[0] == other.Hashes[0] {
		t.Errorf("sets %+v and %+v", set, other)
	}
	if _, ok, err := MatchBackup(other, codes[0]); ok || err != nil {
		t.Errorf("the code of another set: %v %v", ok, err)
	}
}

// A byte past the last whole multiple of the alphabet would make its first
// symbols likelier: it is drawn again.
func TestNewBackupCodeIsUniform(t *testing.T) {
	draws := append([]byte{249, 250, 255, 0, 24, 25}, make([]byte, 12)...)
	code, err := newSymbols(bytes.NewReader(draws), backupSymbols)
	if want := "y2y2" + "222222222222"; err != nil || code != want {
		t.Errorf("code %q %v, want %q", code, err, want)
	}
	count := map[rune]int{}
	const n = 2000
	for range n {
		code, err := newSymbols(rand.Reader, backupSymbols)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range code {
			count[r]++
		}
	}
	// Chi-squared, 24 degrees of freedom: 90 has p < 1e-8.
	var chi float64
	expect := float64(n*backupSymbols) / float64(len(backupAlphabet))
	for _, r := range backupAlphabet {
		chi += math.Pow(float64(count[r])-expect, 2) / expect
	}
	if chi > 90 || len(count) != len(backupAlphabet) {
		t.Errorf("symbols %v: chi-squared %.1f", count, chi)
	}
}

func TestNewBackupSetRefuses(t *testing.T) {
	for _, n := range []int{-1, 0, 101} {
		if codes, _, err := NewBackupSet(rand.Reader, n); codes != nil || err == nil {
			t.Errorf("%d codes: %v %v", n, codes, err)
		}
	}
	for _, size := range []int{0, backupIDSize + backupSaltSize + backupSymbols - 1} {
		if codes, _, err := NewBackupSet(bytes.NewReader(make([]byte, size)), 1); codes != nil || err == nil {
			t.Errorf("%d bytes of randomness: %v %v", size, codes, err)
		}
	}
}

func TestMatchBackupTakesACodeAsItIsTyped(t *testing.T) {
	set := cheapSet("acde-fhjk-mnpr", "2589-vwxy-9345")
	for answer, want := range map[string]int{
		"acde-fhjk-mnpr": 0, "acdefhjkmnpr": 0, "ACDE FHJK MNPR": 0, "AcDe.FhJk.MnPr": 0, " a-c d.e--fhjkmnpr ": 0,
		"2589-vwxy-9345": 1, "zsbg-uwxy-q345": 1, "ZSBQ UWXY G34S": 1,
	} {
		if at, ok, err := MatchBackup(set, answer); at != want || !ok || err != nil {
			t.Errorf("answer %q: %d %v %v, want %d", answer, at, ok, err, want)
		}
	}
	for _, answer := range []string{
		"", "acde", "acde-fhjk-mnp", "acde-fhjk-mnprr", "acde-fhjk-mnpp", "acde-fhjk-mnp1", "acde/fhjk/mnpr",
		"acde-fhjk-mnp\x00", "acde-fhjk-mnp\u00e4", "\u212acde-fhjk-mnpr", strings.Repeat("acde", 1000),
	} {
		if at, ok, err := MatchBackup(set, answer); at != 0 || ok || err != nil {
			t.Errorf("answer %q: %d %v %v", answer, at, ok, err)
		}
	}
}

// The length of a set's codes is theirs: 16 symbols now, 12 before, 8 digits of
// google-authenticator. Text of another length is no attempt.
func TestBackupCodesOfEveryAge(t *testing.T) {
	const now, before, foreign = "acde-fhjk-mnpr-2345", "acde-fhjk-mnpr", "12345678"
	old := cheapSet(before)
	recent, scratch := cheapSet(now), cheapSet(foreign)
	recent.Symbols, scratch.Symbols = backupSymbols, foreignDigits
	oldScratch := cheapSet(foreign)
	for name, tc := range map[string]struct {
		set   mfa.BackupSet
		right string
		none  []string
	}{
		"now": {recent, now, []string{before, foreign}}, "before": {old, before, []string{now}},
		"foreign": {scratch, foreign, []string{now, before, "abcdefgh"}}, "foreign, before": {oldScratch, foreign, []string{now}},
	} {
		for _, answer := range []string{tc.right, "Backup code: " + tc.right, "3. " + tc.right, "[200~" + tc.right + "[201~", tc.right + "."} {
			if _, ok, err := MatchBackup(tc.set, answer); !ok || err != nil {
				t.Errorf("%s: %q: %v %v", name, answer, ok, err)
			}
		}
		for _, answer := range append(tc.none, "123456", "alice", tc.right+" "+tc.right) {
			if code, shaped := BackupCode(tc.set, answer); shaped {
				t.Errorf("%s: %q is read as %q", name, answer, code)
			}
		}
	}
}

// An answer's cost shows in the memory it takes: none without the shape of
// a code, that of one Argon2id with it, whether right or wrong.
func TestMatchBackupComputesOneHashAtMost(t *testing.T) {
	set := cheapSet("acde-fhjk-mnpr", "2589-vwxy-9345", "7777-7777-7777")
	set.Memory = backupMemory // so that no code is right
	const one = backupMemory * 1024
	for answer, want := range map[string]uint64{"123456": 0, "acde-fhjk-mnp1": 0, "acde-fhjk-mnpr": one, "3333-3333-3333": one} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, _, err := MatchBackup(set, answer); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took < want || took > want+one/2 {
			t.Errorf("answer %q took %d bytes, want about %d", answer, took, want)
		}
	}
}

// A set without hashes is that of a user with no code: any answer is wrong.
func TestMatchBackupWithoutCodes(t *testing.T) {
	if at, ok, err := MatchBackup(cheapSet(), "acde-fhjk-mnpr"); at != 0 || ok || err != nil {
		t.Errorf("%d %v %v", at, ok, err)
	}
}

// A record damaged by hand denies its user with an error that says where; it
// neither panics nor eats the memory of the machine.
func TestMatchBackupRefusesADamagedSet(t *testing.T) {
	for want, damage := range map[string]func(s *mfa.BackupSet){
		"id is missing":                    func(s *mfa.BackupSet) { s.ID = "" },
		"salt is not 16 bytes":             func(s *mfa.BackupSet) { s.Salt = "" },
		"salt is not 16 bytes in":          func(s *mfa.BackupSet) { s.Salt = s.Salt[1:] },
		"memory_kib is 0":                  func(s *mfa.BackupSet) { s.Memory = 0 },
		"memory_kib is 4294967295":         func(s *mfa.BackupSet) { s.Memory = math.MaxUint32 },
		"memory_kib is 8: want 16":         func(s *mfa.BackupSet) { s.Threads = 2 },
		"time is 0":                        func(s *mfa.BackupSet) { s.Time = 0 },
		"time is 17":                       func(s *mfa.BackupSet) { s.Time = 17 },
		"threads is 0":                     func(s *mfa.BackupSet) { s.Threads = 0 },
		"threads is 17":                    func(s *mfa.BackupSet) { s.Threads = 17 },
		"hash 2 is not 16 bytes":           func(s *mfa.BackupSet) { s.Hashes[1] = "" },
		"hash 1 is not 16 bytes in base64": func(s *mfa.BackupSet) { s.Hashes[0] = "?" + s.Hashes[0][1:] },
		"hashes are 102":                   func(s *mfa.BackupSet) { s.Hashes = slices.Repeat(s.Hashes, 51) },
	} {
		set := cheapSet("acde-fhjk-mnpr", "2589-vwxy-9345")
		damage(&set)
		for _, answer := range []string{"acde-fhjk-mnpr", "x"} {
			if at, ok, err := MatchBackup(set, answer); at != 0 || ok || err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("answer %q: %d %v %v, want %q", answer, at, ok, err, want)
			}
		}
	}
}

func TestBackupSetIsReadableInTOML(t *testing.T) {
	codes, set, err := NewBackupSet(rand.Reader, 2)
	if err != nil {
		t.Fatal(err)
	}
	text, err := toml.Marshal(struct {
		Backup mfa.BackupSet `toml:"backup"`
	}{set})
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?s)\[backup\].*\bid = "[0-9a-f]{16}"\n.*\bsalt = "\S{22}"\n.*\bmemory_kib = 19456\n`+
		`.*\btime = 2\n.*\bthreads = 1\n.*\bhashes = \["\S{22}", "\S{22}"\]\n`).Match(text) || strings.Contains(string(text), codes[0]) {
		t.Errorf("in TOML:\n%s", text)
	}
	var read struct {
		Backup mfa.BackupSet `toml:"backup"`
	}
	if _, err := toml.Decode(string(text), &read); err != nil {
		t.Fatal(err)
	}
	if at, ok, err := MatchBackup(read.Backup, codes[1]); at != 1 || !ok || err != nil {
		t.Errorf("the set read back: %d %v %v", at, ok, err)
	}
}

func FuzzMatchBackup(f *testing.F) {
	set := cheapSet("2589-vwxy-9345")
	f.Add("2589-vwxy-9345")
	f.Add("ZSBQ UWXY G34S")
	f.Add("2589vwxy934")
	f.Add("\u212a\x00\xff.")
	same := strings.NewReplacer("z", "2", "s", "5", "b", "8", "g", "9", "q", "9", "u", "v")
	f.Fuzz(func(t *testing.T, answer string) {
		code, _ := BackupCode(set, answer)
		if _, ok, err := MatchBackup(set, answer); ok != (code == "2589vwxy9345") || err != nil {
			t.Errorf("answer %q, read as %q: %v %v", answer, code, ok, err)
		}
		bare := regexp.MustCompile(`[ .-]`).ReplaceAllString(answer, "")
		if regexp.MustCompile(`^[0-9A-Za-z]*$`).MatchString(bare) && same.Replace(strings.ToLower(bare)) == "2589vwxy9345" && code != "2589vwxy9345" {
			t.Errorf("answer %q is read as %q", answer, code)
		}
		// However a code is written, it is the same code.
		if code, shaped := BackupCode(set, answer); shaped {
			if again, ok := BackupCode(set, strings.ToUpper(grouped(code))); again != code || !ok {
				t.Errorf("answer %q is %q, and again %q", answer, code, again)
			}
		}
	})
}

func BenchmarkMatchBackup(b *testing.B) {
	codes, set, err := NewBackupSet(rand.Reader, 10)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, ok, err := MatchBackup(set, codes[9]); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

// Behind a password a code may stand as codes of its set are: scratch codes as eight
// digits, codes of an old set in its length or as scratch codes, others in their length.
func TestEndings(t *testing.T) {
	for _, tc := range []struct {
		symbols int
		lengths []int // of what may stand there, with dashes and without
		digits  bool
	}{
		{backupSymbols, []int{backupSymbols, backupSymbols}, false},
		{0, []int{oldBackupSymbols, oldBackupSymbols, foreignDigits}, true},
		{foreignDigits, []int{foreignDigits}, true},
	} {
		var lengths []int
		digits := false
		for _, e := range Endings(mfa.BackupSet{Symbols: tc.symbols}) {
			lengths = append(lengths, e.Symbols)
			digits = digits || e.Of == "0123456789"
		}
		if !slices.Equal(lengths, tc.lengths) || digits != tc.digits {
			t.Errorf("set of %d symbols: %v, digits %v; want %v, %v", tc.symbols, lengths, digits, tc.lengths, tc.digits)
		}
	}
}
