package challenge

import (
	"context"
	"fmt"
	"time"

	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
)

// An appCode is the code of an authenticator app.
type appCode struct {
	fixed
	c       *Conversation
	setup   string // ID of the setup; empty: the app is the user's already
	current func(context.Context) (mfa.TOTPSecret, error)
}

// AppCode returns the Code of an authenticator app. Current is called at each answer and
// returns the secret, sealed. Setup is the ID of the mfa.Enrolling that the code proves:
// then no code of the app can have been used before. It is empty for an app that is set up.
func (c *Conversation) AppCode(setup string, current func(context.Context) (mfa.TOTPSecret, error)) Code {
	return &appCode{fixed: fixed{c}, c: c, setup: setup, current: current}
}

// Kind implements Code.
func (a *appCode) Kind() Kind {
	return Kind{
		Method: mfa.TOTP, Setup: a.setup, End: EndCode, Hint: a.c.Words(textTOTP), Spent: textSpent, Instead: adviceWait,
		Doubted: a.c.Words(textClock), DoubtedReason: "the clock may be wrong",
	}
}

// Prepare implements Code.
func (a *appCode) Prepare(ctx context.Context, answer string) (CheckFunc, error) {
	t, err := a.current(ctx)
	if err != nil {
		return nil, err
	}
	id := a.c.User.Account.ID
	secret, err := a.c.asker.deps.Accounts.OpenTOTP(id, t.Secret)
	if err != nil {
		return nil, err
	}
	p := otp.Params{Digits: t.Digits, Period: time.Duration(t.Period), Algorithm: t.Algorithm}
	if _, err := otp.Code(secret, 0, p); err != nil {
		return nil, fmt.Errorf("use totp of %q: %w", id.Name, err)
	}
	code, ok := factor.Digits(answer, p.Digits, p.Digits)
	if !ok {
		return nil, nil
	}
	return func(st *mfa.State, now time.Time) Judgement {
		last := int64(0) // no code of an app that is being set up was used before
		if a.setup == "" {
			if last, ok = a.c.User.LastStep(st, p.Period, now); !ok {
				return Judgement{Result: Doubted}
			}
		}
		found := a.c.checkTOTP(now, secret, last, code, p)
		switch {
		case found.Result == Right && a.setup == "":
			st.TOTPStep = found.Step // even if a greater one was stored that cannot be believed
		case found.Result == Wrong:
			st.Drift = driftOf(st.Drift, now, secret, last, code, p)
			found.Drift = st.Drift
		}
		return found
	}, nil
}

// checkTOTP checks code and accepts one whose step is newer than last.
func (c *Conversation) checkTOTP(now time.Time, secret []byte, last int64, code string, p otp.Params) Judgement {
	step, res, err := factor.CheckTOTP(secret, code, now, last, c.asker.cfg.TOTP.Skew, p)
	switch {
	case err != nil:
		return Judgement{Result: Wrong} // the parameters were checked before
	case res == otp.Spent:
		return Judgement{Result: Spent}
	case res == otp.Right:
		return Judgement{Result: Right, Step: step}
	}
	return Judgement{Result: Wrong}
}

// SetupStep returns the step of the code by which an app was proven that is being set up,
// or the next count of a token.
// It counts as used from when the app counts: until then the step that is stored is of
// the app that the user has.
func (c *Conversation) SetupStep() int64 { return c.setupStep }
