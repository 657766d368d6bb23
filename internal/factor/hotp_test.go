package factor

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
)

// rfcToken is that of RFC 4226, appendix D.
func rfcToken() Token {
	return Token{Secret: []byte("12345678901234567890"), Params: otp.Params{Digits: 6, Algorithm: "SHA1"}, Window: 10}
}

// press returns the code of a token at a count.
func press(t testing.TB, tok Token, count int64) string {
	t.Helper()
	p := tok.Params
	p.Period = time.Second // a token has none; Code wants one
	code, err := otp.Code(tok.Secret, count, p)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// typed ends the test unless the code of that count is what is wanted, and the next count
// is next afterwards.
func (p presser) typed(count int64, want otp.Result, next int64) {
	p.t.Helper()
	p.answered(press(p.t, p.tok, count), want, next)
}

func (p presser) answered(code string, want otp.Result, next int64) {
	p.t.Helper()
	res, ahead, err := CheckHOTP(p.st, p.tok, code)
	c, known := Counted(*p.st, p.tok)
	if res != want || err != nil || c.Next != next || !known || ahead < 0 {
		p.t.Errorf("%s: %v, %d ahead, next %d (known %v), %v; want %v, next %d", code, res, ahead, c.Next, known, err, want, next)
	}
}

// A presser is a token and what is known of its user.
type presser struct {
	t   *testing.T
	tok Token
	st  *mfa.State
}

func newPresser(t *testing.T) presser { return presser{t, rfcToken(), &mfa.State{}} }

// RFC 4226, appendix D.
func TestCheckHOTP(t *testing.T) {
	p := newPresser(t)
	for count, code := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		p.answered(code, otp.Right, int64(count)+1)
		p.answered(code, otp.Spent, int64(count)+1)
	}
	for _, wrong := range []string{"", "52048", "5204890", "000000"} {
		p.answered(wrong, otp.Wrong, 10)
	}
}

// Codes that were passed over within the window are used as well.
func TestWindowOfHOTP(t *testing.T) {
	for window := range 12 {
		p := newPresser(t)
		p.tok.Window = window
		p.typed(int64(window)+1, otp.Wrong, 0)
		p.typed(int64(window), otp.Right, int64(window)+1)
		for count := range window + 1 {
			p.typed(int64(count), otp.Spent, int64(window)+1)
		}
	}
}

// Two codes in a row from beyond the window, and nothing less, bring a token back.
func TestHOTPIsResynchronised(t *testing.T) {
	for _, tc := range []struct {
		name  string
		typed []int64
		next  int64
	}{
		{"30 ahead", []int64{30, 31}, 32},
		{"the furthest", []int64{999, 1000}, 1001},
		{"too far", []int64{1000, 1001}, 0},
		{"a code left out", []int64{30, 32}, 0},
		{"left out, and then in a row", []int64{30, 32, 33}, 34},
		{"backwards", []int64{31, 30}, 0},
		{"the same twice", []int64{30, 30}, 0},
		{"one between", []int64{30, 500, 31}, 0},
	} {
		p := newPresser(t)
		for i, count := range tc.typed {
			want, next := otp.Wrong, int64(0)
			if i == len(tc.typed)-1 && tc.next > 0 {
				want, next = otp.Right, tc.next
			}
			t.Log(tc.name)
			p.typed(count, want, next)
		}
		if tc.next > 0 {
			for _, count := range tc.typed {
				p.typed(count, map[bool]otp.Result{true: otp.Spent, false: otp.Wrong}[tc.next-count <= hotpBack], tc.next)
			}
		}
	}
	// A code that is no attempt comes in between and changes nothing; a right one ends it.
	p := newPresser(t)
	p.typed(3, otp.Right, 4)
	p.typed(40, otp.Wrong, 4)
	p.typed(2, otp.Spent, 4)
	p.typed(41, otp.Right, 42)
	p.typed(90, otp.Wrong, 42)
	p.typed(42, otp.Right, 43)
	p.typed(91, otp.Wrong, 43)
	p.typed(92, otp.Right, 93)
}

// Of two counts within the window that have one code the newer is taken: it spends both.
func TestNewerOfTwoCountsWithOneCode(t *testing.T) {
	p := newPresser(t)
	for count := int64(0); ; count++ { // some pair is near each other soon
		for ahead := int64(1); ahead <= 10; ahead++ {
			if code := press(t, p.tok, count); code == press(t, p.tok, count+ahead) {
				p.tok.First = count
				p.answered(code, otp.Right, count+ahead+1)
				p.answered(code, otp.Spent, count+ahead+1)
				return
			}
		}
	}
}

// No order of answers brings a count back, and no code is right twice.
func TestHOTPNeverGoesBack(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 226))
	p := newPresser(t)
	used := map[string]int64{}
	next := int64(0)
	for range 3000 {
		count := max(0, next+random.Int64N(60)-25)
		code := press(t, p.tok, count)
		res, _, err := CheckHOTP(p.st, p.tok, code)
		if err != nil {
			t.Fatal(err)
		}
		c, _ := Counted(*p.st, p.tok)
		if c.Next < next {
			t.Fatalf("from %d back to %d", next, c.Next)
		}
		if at, was := used[code]; res == otp.Right && was && at == count {
			t.Fatalf("the code of %d was right twice", count)
		}
		if next = c.Next; res == otp.Right {
			used[code] = count
		}
	}
	// A counter that an administrator writes by hand moves it forward only.
	p.tok.First = 5
	if c, _ := Counted(*p.st, p.tok); c.Next != next {
		t.Errorf("next %d, want %d", c.Next, next)
	}
	p.tok.First = next + 7
	p.typed(next+6, otp.Spent, next+7)
}

// Which count a token has is known by its secret: another token takes nothing of it, and
// one that comes back goes on where it was.
func TestCountsOfSeveralTokens(t *testing.T) {
	p := newPresser(t)
	p.typed(5, otp.Right, 6)
	other := presser{t, rfcToken(), p.st}
	other.tok.Secret = []byte("abcdefghij0123456789")
	other.typed(2, otp.Right, 3)
	p.typed(5, otp.Spent, 6)
	for i := range 2*maxTokens - 1 {
		KeepCount(p.st, mfa.TokenCount{Token: fmt.Sprint(i), Next: 1})
		p.typed(6+int64(i), otp.Right, 7+int64(i))
	}
	if len(p.st.Tokens) != maxTokens {
		t.Errorf("%d counts are kept", len(p.st.Tokens))
	}
}

// After the state was lost nobody knows which codes are used: none counts.
func TestCountThatIsNotKnown(t *testing.T) {
	now := time.Now()
	st := mfa.State{Since: &now}
	for _, st := range []mfa.State{st, {TokensSince: &now}} {
		if _, known := Counted(st, rfcToken()); known {
			t.Errorf("known, of %+v", st)
		}
	}
	KeepCount(&st, mfa.TokenCount{Token: otp.TokenName(rfcToken().Secret), Next: 9}) // set up since
	if c, known := Counted(st, rfcToken()); !known || c.Next != 9 {
		t.Errorf("%+v, known %v", c, known)
	}
}

func TestBeginHOTP(t *testing.T) {
	st := mfa.State{}
	tok := rfcToken()
	KeepCount(&st, mfa.TokenCount{Token: otp.TokenName(tok.Secret), Next: 20})
	before := slices.Clone(st.Tokens)
	for count, want := range map[int64]otp.Result{19: otp.Spent, 20: otp.Right, 1019: otp.Right, 1020: otp.Wrong} {
		next, res, err := BeginHOTP(st, tok, press(t, tok, count))
		if res != want || err != nil || (res == otp.Right) != (next == count+1) {
			t.Errorf("count %d: %d, %v, %v; want %v", count, next, res, err, want)
		}
	}
	if !slices.Equal(st.Tokens, before) {
		t.Errorf("became %+v", st.Tokens)
	}
}

// Parallel answers are decided one after another by the store; whatever their order, one
// of those with the same code is right.
func TestOneOfManyAnswersIsRight(t *testing.T) {
	tok := rfcToken()
	var mu sync.Mutex
	st, right := mfa.State{}, 0
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			mu.Lock()
			defer mu.Unlock()
			if res, _, _ := CheckHOTP(&st, tok, press(t, tok, 4)); res == otp.Right {
				right++
			}
		})
	}
	wg.Wait()
	if right != 1 {
		t.Errorf("%d were right", right)
	}
}

// Two codes in a row say where a token is, wherever that is ahead, and nothing less does.
func TestFindPair(t *testing.T) {
	tok := rfcToken()
	tok.First = 7
	for _, tc := range []struct {
		first, second, next int64
		found               bool
	}{{7, 8, 9, true}, {5000, 5001, 5002, true}, {6, 7, 0, false}, {20, 22, 0, false}, {21, 20, 0, false}, {20, 20, 0, false}} {
		next, found, err := FindPair(tok, press(t, tok, tc.first), press(t, tok, tc.second))
		if next != tc.next || found != tc.found || err != nil {
			t.Errorf("%d and %d: %d, %v, %v", tc.first, tc.second, next, found, err)
		}
	}
	if _, found, err := FindPair(Token{}, "755224", "287082"); found || err == nil {
		t.Errorf("no secret: %v, %v", found, err)
	}
}

func TestMergeCounts(t *testing.T) {
	saved := []mfa.TokenCount{{Token: "a", Next: 7, Far: 30}, {Token: "b", Next: 3}}
	for unknown, want := range map[bool][]mfa.TokenCount{
		false: {{Token: "a", Next: 9}, {Token: "b", Next: 3}},
		true:  {{Token: "a", Next: 9}},
	} {
		st := mfa.State{Tokens: []mfa.TokenCount{{Token: "a", Next: 9}}}
		MergeCounts(&st, saved, unknown)
		if !slices.Equal(st.Tokens, want) {
			t.Errorf("unknown %v: %+v, want %+v", unknown, st.Tokens, want)
		}
	}
}

func TestHOTPThatCannotBeUsed(t *testing.T) {
	for name, change := range map[string]func(tok *Token){
		"no secret":    func(tok *Token) { tok.Secret = nil },
		"short secret": func(tok *Token) { tok.Secret = tok.Secret[:9] },
		"few digits":   func(tok *Token) { tok.Params.Digits = 5 },
		"algorithm":    func(tok *Token) { tok.Params.Algorithm = "MD5" },
		"negative":     func(tok *Token) { tok.First = -1 },
		"beyond":       func(tok *Token) { tok.First = otp.MaxCount + 1 },
	} {
		tok, st := rfcToken(), mfa.State{}
		change(&tok)
		if res, _, err := CheckHOTP(&st, tok, "755224"); res != otp.Wrong || err == nil || st.Tokens != nil {
			t.Errorf("%s: %v, %v, %+v", name, res, err, st.Tokens)
		}
		if next, res, err := BeginHOTP(st, tok, "755224"); next != 0 || res != otp.Wrong || err == nil {
			t.Errorf("%s: %d, %v, %v", name, next, res, err)
		}
	}
}

func BenchmarkWrongHOTP(b *testing.B) {
	tok := rfcToken()
	for b.Loop() {
		if _, _, err := CheckHOTP(&mfa.State{}, tok, "000000"); err != nil {
			b.Fatal(err)
		}
	}
}
