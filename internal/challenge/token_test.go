package challenge

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

var tokenSecret = []byte("12345678901234567890")

// token is alice's.
func (h *harness) token() mfa.HOTPSecret {
	return mfa.HOTPSecret{Secret: h.accounts.SealHOTP(alice, tokenSecret), Algorithm: "SHA1", Digits: 6}
}

// press is what alice's token shows at a count.
func (h *harness) press(count int64) string {
	h.t.Helper()
	code, err := otp.Code(tokenSecret, count, otp.Params{Digits: 6, Algorithm: "SHA1", Period: time.Second})
	if err != nil {
		h.t.Fatal(err)
	}
	return code
}

// next is the count of alice's next code.
func (h *harness) next() int64 {
	h.t.Helper()
	c, _ := factor.Counted(h.state(), factor.Token{Secret: tokenSecret})
	return c.Next
}

// asksToken asks alice for a code of her token, and returns what came of it.
func (h *harness) asksToken(keys []string, steps ...step) (*script, string, mfa.Verdict) {
	h.t.Helper()
	s := &script{t: h.t, steps: steps}
	c, tok := h.talk(s), h.token()
	key, v, _ := c.Pose(h.t.Context(), Question{
		Code: c.TokenCode(func(context.Context) (mfa.HOTPSecret, error) { return tok, nil }), Text: "Your token", Keys: keys,
	})
	if len(s.steps) > 0 {
		h.t.Errorf("%d steps are left", len(s.steps))
	}
	return s, key, v
}

// A code that is far ahead is answered like every wrong one, so the answer tells a guesser
// nothing. The one after it is right.
func TestTokenThatIsAhead(t *testing.T) {
	const told = "That code is not right. 2 tries left. If the token was pressed many times without a login, type its very next code now. Code:"
	h := newHarness(t)
	_, _, v := h.asksToken(nil, step{"Your token Code:", types("000000")}, step{told, fails(mfa.ErrNoConversation)})
	if v.Outcome == mfa.Accepted || h.next() != 0 || len(h.state().Failures) != 1 {
		t.Errorf("a guess: %+v, next %d", v, h.next())
	}
	_, _, v = h.asksToken(nil, step{"Your token Code:", types(h.press(30))}, step{told, types(h.press(31))})
	if v.Outcome != mfa.Accepted || h.next() != 32 || len(h.state().Failures) != 0 {
		t.Errorf("%+v, next %d, failures %v", v, h.next(), h.state().Failures)
	}
	_, _, v = h.asksToken(nil, step{"Your token", types(h.press(31))}, step{"used already, or one after it was. Press", types(h.press(30))}, step{"used already", types(h.press(32))})
	if v.Outcome != mfa.Accepted || len(h.state().Failures) != 0 {
		t.Errorf("after it: %+v", v)
	}
}

// The first of two codes in a row may be of an earlier login, which was counted.
func TestTokenIsFoundAgainInTheNextLogin(t *testing.T) {
	h := newHarness(t)
	_, _, v := h.asksToken(nil, step{"", types(h.press(70))}, step{"not right", fails(mfa.ErrNoConversation)})
	if v.Outcome == mfa.Accepted || len(h.state().Failures) != 1 {
		t.Errorf("%+v, failures %v", v, h.state().Failures)
	}
	if _, _, v = h.asksToken(nil, step{"", types(h.press(71))}); v.Outcome != mfa.Accepted {
		t.Errorf("%+v", v)
	}
}

// repeats gives one answer until it is used up.
type repeats struct {
	answer string
	left   int
}

func (r *repeats) Prompt(_ context.Context, p mfa.Prompt) (string, error) {
	if r.left--; r.left < 0 || p.Kind != mfa.Ask {
		return "", mfa.ErrNoConversation
	}
	return r.answer, nil
}

// secondHost returns an Asker with the same key and configuration over the same store, which
// shares nothing else with h.
func (h *harness) secondHost() (*Asker, *account.Accounts) {
	deps := h.asker.deps
	deps.Accounts = account.New(h.accounts.Config(), account.Deps{
		Records: account.Records{S: h.store}, Key: deps.Key, Mail: deps.Mail, Audit: deps.Audit, Log: deps.Log, Now: deps.Now,
	})
	return New(h.asker.cfg, deps), deps.Accounts
}

// Of many logins at the same time on two hosts that type one code one is let in, in whatever
// order the store takes them; and nobody is charged for it.
func TestOneCodeOfATokenOpensOnce(t *testing.T) {
	h := newHarness(t)
	tok := h.token()
	asker, accounts := h.secondHost()
	var in atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			r := &repeats{h.press(7), 2}
			c := h.talk(r)
			if i%2 == 1 {
				c = asker.Converse(accounts.User(accounts.Records().Account(alice), home), r)
			}
			_, v, _ := c.Pose(t.Context(), Question{Code: c.TokenCode(func(context.Context) (mfa.HOTPSecret, error) { return tok, nil }), Text: "Your token"})
			if v.Outcome == mfa.Accepted {
				in.Add(1)
			}
		})
	}
	wg.Wait()
	if in.Load() != 1 || h.next() != 8 || len(h.state().Failures) != 0 {
		t.Errorf("%d were let in; next %d, failures %v", in.Load(), h.next(), h.state().Failures)
	}
}

// Where the count was lost no code is looked at or counted: used ones would be good again.
func TestTokenWhoseCountIsLost(t *testing.T) {
	h := newHarness(t)
	h.set(func(st *mfa.State) { st.Since = &start })
	for _, keys := range [][]string{nil, {KeyMenu}} {
		s, key, v := h.asksToken(keys, step{"Your token", types(h.press(0))})
		if v.Outcome == mfa.Accepted || (keys == nil) != (v.Outcome == mfa.Unavailable) || (keys != nil) != (key == KeyMenu) || len(h.state().Failures) != 0 {
			t.Errorf("%q, %+v", key, v)
		}
		s.end("Ask your administrator, and have two codes in a row of it ready.")
	}
}

// A meeting is a store in which, once it is called, two look-ups of alice's state wait for
// each other: both see the same.
type meeting struct {
	store.Store
	called  atomic.Bool
	present atomic.Int32
	both    chan struct{}
}

func (m *meeting) Get(ctx context.Context, key string) (store.Item, error) {
	it, err := m.Store.Get(ctx, key)
	if key == store.States+alice.Name && m.called.Load() {
		switch m.present.Add(1) {
		case 1:
			<-m.both
		case 2:
			close(m.both)
		}
	}
	return it, err
}

// together answers one prompt, once both are there.
type together struct {
	answer string
	there  *sync.WaitGroup
	call   func()
	asked  bool
}

func (g *together) Prompt(_ context.Context, p mfa.Prompt) (string, error) {
	if p.Kind != mfa.Ask || g.asked {
		return "", mfa.ErrNoConversation
	}
	g.asked = true
	g.there.Done()
	g.there.Wait()
	g.call()
	return g.answer, nil
}

// Two hosts that have read the same state take one code once, whichever writes first: by
// compare-and-swap alone, for what was read before decides nothing.
func TestHostsThatReadTheSameTakeACodeOnce(t *testing.T) {
	h := newHarness(t)
	tok := h.token()
	h.set(func(st *mfa.State) { factor.KeepCount(st, mfa.TokenCount{Token: otp.TokenName(tokenSecret), Next: 3}) })
	m := &meeting{Store: h.store, both: make(chan struct{})}
	var in atomic.Int32
	var there, done sync.WaitGroup
	there.Add(2)
	for range 2 {
		deps := h.asker.deps
		deps.Accounts = account.New(h.accounts.Config(), account.Deps{
			Records: account.Records{S: m}, Key: deps.Key, Mail: deps.Mail, Audit: deps.Audit, Log: deps.Log, Now: deps.Now,
		})
		asker := New(h.asker.cfg, deps)
		done.Go(func() {
			far := &together{answer: h.press(7), there: &there, call: func() { m.called.Store(true) }}
			c := asker.Converse(deps.Accounts.User(deps.Accounts.Records().Account(alice), home), far)
			_, v, _ := c.Pose(t.Context(), Question{Code: c.TokenCode(func(context.Context) (mfa.HOTPSecret, error) { return tok, nil }), Text: "Your token"})
			if v.Outcome == mfa.Accepted {
				in.Add(1)
			}
		})
	}
	done.Wait()
	if in.Load() != 1 || h.next() != 8 || len(h.state().Failures) != 0 {
		t.Errorf("%d were let in; next %d, failures %v", in.Load(), h.next(), h.state().Failures)
	}
}
