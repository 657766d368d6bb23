package challenge

import (
	"context"
	"testing"
	"time"

	"mfa/internal/mfa"
)

// A fixedCode finds what it is told, and notes that it looked.
type fixedCode struct {
	fixed
	kind   Kind
	found  Result
	shaped bool
	looked *int
}

func (f fixedCode) Kind() Kind { return f.kind }

func (f fixedCode) Prepare(context.Context, string) (CheckFunc, error) {
	if !f.shaped {
		return nil, nil
	}
	return func(*mfa.State, time.Time) Judgement { *f.looked++; return Judgement{Result: f.found} }, nil
}

// Of several codes that an answer could be, one that is right wins; else what says most of it
// does, and what is wrong of several is wrong of the last.
func TestAnyOf(t *testing.T) {
	for _, c := range []struct {
		sent, app Result
		want      Result
		method    mfa.Method
	}{
		{Right, Wrong, Right, mfa.Email},
		{Wrong, Right, Right, mfa.TOTP},
		{Wrong, Wrong, Wrong, mfa.TOTP},
		{Unsent, Wrong, Wrong, mfa.TOTP},
		{None, Spent, Spent, mfa.TOTP},
		{Expired, Wrong, Expired, mfa.Email},
		{Wrong, Spent, Spent, mfa.TOTP},
		{Wrong, Doubted, Wrong, mfa.Email}, // a guess at what was sent is no free one
		{Unsent, Doubted, Doubted, mfa.TOTP},
		{Unsent, None, None, mfa.TOTP},
	} {
		looked := 0
		code := anyOf{
			fixedCode{kind: Kind{Method: mfa.Email}, found: c.sent, shaped: true, looked: &looked},
			fixedCode{kind: Kind{Method: mfa.Backup, Costly: true}, looked: &looked},
			fixedCode{kind: Kind{Method: mfa.TOTP}, found: c.app, shaped: true, looked: &looked},
		}
		look, err := code.Prepare(t.Context(), "123456")
		if err != nil {
			t.Fatal(err)
		}
		if got := look(&mfa.State{}, time.Time{}); got.Result != c.want || got.Method != c.method {
			t.Errorf("%d and %d: %d of %q, want %d of %q", c.sent, c.app, got.Result, got.Method, c.want, c.method)
		}
		if k := code.Kind(); k.Method != mfa.TOTP || !k.Costly {
			t.Errorf("kind %+v", k)
		}
	}
	none := 0
	if look, err := (anyOf{fixedCode{looked: &none}}).Prepare(t.Context(), "x"); look != nil || err != nil {
		t.Errorf("looks at what none of them can be: %v", err)
	}
}
