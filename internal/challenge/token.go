package challenge

import (
	"context"
	"fmt"
	"time"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
)

// HOTPConfig is the table [hotp].
type HOTPConfig struct {
	Window int `toml:"window"` // how many presses without a login are forgiven
}

// A tokenCode is the code of a token that counts.
type tokenCode struct {
	fixed
	c       *Conversation
	setup   string // ID of the setup; empty: the token is the user's already
	number  string // of one from the shelf, in a setup
	current func(context.Context) (mfa.HOTPSecret, error)
}

// shelfReach is how many counts the first code of a token from the shelf is looked for in:
// who says its number need not have it.
const shelfReach = 50

// maxTokenDigits are the most that a token shows.
const maxTokenDigits = 8

// TokenCode returns the code of a token that counts. Current is that of AppCode.
func (c *Conversation) TokenCode(current func(context.Context) (mfa.HOTPSecret, error)) Code {
	return &tokenCode{fixed: fixed{c}, c: c, current: current}
}

// TokenSetup is TokenCode for the setup of that ID, of tok, which has a number if it is from
// the shelf. In a setup, a token of no digits is one of which it is not known how many it
// shows; then SetupStep returns the next count, and SetupDigits what it showed.
func (c *Conversation) TokenSetup(setup string, tok mfa.HOTPSecret) Code {
	current := func(context.Context) (mfa.HOTPSecret, error) { return tok, nil }
	return &tokenCode{fixed: fixed{c}, c: c, setup: setup, number: tok.Serial, current: current}
}

// Kind implements Code.
func (t *tokenCode) Kind() Kind {
	k := Kind{
		Method: mfa.HOTP, Setup: t.setup, Number: t.number, End: EndCode, Hint: t.c.Words(textHOTP), Spent: textHOTPSpent, Instead: adviceHOTPNext,
		Doubted: t.c.Words(textHOTPLost), DoubtedReason: "how far the token has counted is not known",
	}
	if t.setup == "" {
		k.Advice = t.c.Words(adviceHOTP)
		return k
	}
	k.Doubted, k.DoubtedReason = t.c.Words(textShelfShut), "too many codes were tried for tokens that wait"
	return k
}

// Prepare implements Code.
func (t *tokenCode) Prepare(ctx context.Context, answer string) (CheckFunc, error) {
	kept, err := t.current(ctx)
	if err != nil {
		return nil, err
	}
	id := t.c.User.Account.ID
	secret, err := t.c.asker.deps.Accounts.OpenHOTP(id, kept.Secret)
	if err != nil {
		return nil, err
	}
	least, most := kept.Digits, kept.Digits
	if t.setup != "" && kept.Digits == 0 {
		least, most = minDigits, maxTokenDigits
	}
	code, ok := factor.Digits(answer, least, most)
	tok := factor.Token{
		Secret: secret, Params: otp.Params{Digits: least, Algorithm: kept.Algorithm}, First: kept.Counter, Window: t.c.asker.cfg.HOTP.Window,
	}
	if ok {
		tok.Params.Digits = len(code)
	}
	if t.number != "" {
		tok.Reach = shelfReach
	}
	if err := otp.CheckToken(secret, tok.First, tok.Params); err != nil {
		return nil, fmt.Errorf("use hotp of %q: %w", id.Name, err)
	}
	if !ok {
		return nil, nil
	}
	if t.number != "" {
		return t.prepareNumber(ctx, tok, code)
	}
	if t.setup != "" {
		return func(st *mfa.State, _ time.Time) Judgement { return checkSetupToken(*st, tok, code) }, nil
	}
	return func(st *mfa.State, _ time.Time) Judgement { return checkToken(st, tok, code) }, nil
}

// checkToken takes a code of a token that is set up.
func checkToken(st *mfa.State, tok factor.Token, code string) Judgement {
	if _, known := factor.Counted(*st, tok); !known {
		return Judgement{Result: Doubted}
	}
	res, ahead, err := factor.CheckHOTP(st, tok, code)
	switch {
	case err != nil: // the token was checked before
		return Judgement{Result: Wrong}
	case res == otp.Spent:
		return Judgement{Result: Spent}
	case res == otp.Right && ahead > int64(tok.Window):
		return Judgement{Result: Right, Ahead: ahead}
	case res == otp.Right:
		return Judgement{Result: Right}
	}
	return Judgement{Result: Wrong}
}

// checkSetupToken is checkToken for one that is being set up.
func checkSetupToken(st mfa.State, tok factor.Token, code string) Judgement {
	switch next, res, err := factor.BeginHOTP(st, tok, code); {
	case err != nil || res == otp.Wrong:
		return Judgement{Result: Wrong}
	case res == otp.Spent:
		return Judgement{Result: Spent}
	default:
		return Judgement{Result: Right, Step: next, Digits: tok.Params.Digits}
	}
}

// prepareNumber is Prepare for a token from the shelf. Whoever says its number need not have
// it, so what they try is counted.
func (t *tokenCode) prepareNumber(ctx context.Context, tok factor.Token, code string) (CheckFunc, error) {
	deps := t.c.asker.deps
	st, err := t.c.User.Account.State(ctx)
	if err != nil {
		return nil, err
	}
	may := account.MayTryShelf(st, deps.Now())
	if may {
		if may, err = deps.Accounts.TryShelved(ctx, t.number); err != nil {
			return nil, err
		}
	}
	return func(st *mfa.State, now time.Time) Judgement {
		if !may || !account.MayTryShelf(*st, now) {
			return Judgement{Result: Doubted}
		}
		found := checkSetupToken(*st, tok, code)
		if found.Result == Wrong {
			account.NoteShelfTry(st, now)
		}
		return found
	}, nil
}

// wasNumber writes down a wrong code that was to prove a token from the shelf.
func (c *Conversation) wasNumber(k Kind) {
	if k.Number == "" {
		return
	}
	ev := c.User.Event(audit.Failed)
	ev.Method, ev.Reason = string(k.Method), "to set up the token of the number "+k.Number+"; not counted against logins"
	c.asker.deps.Audit.Record(ev)
}

// SetupDigits returns how many digits the code had by which a token was proven that is
// being set up.
func (c *Conversation) SetupDigits() int { return c.setupDigits }

// wasAhead writes down that a token was found again, so many codes ahead.
func (c *Conversation) wasAhead(m mfa.Method, ahead int64) {
	ev := c.User.Event(audit.Resynchronised)
	ev.Method, ev.Reason = string(m), fmt.Sprintf("two codes in a row, %d ahead", ahead)
	c.asker.deps.Audit.Record(ev)
}

const (
	textHOTP      = "Press the button of your token and type the code that it shows."
	textHOTPSpent = "That code was used already, or one after it was."
	textHOTPLost  = "Codes of your token cannot be checked: how far it had counted is not known any more. Ask your administrator, and have two codes in a row of it ready."

	textShelfShut = "Too many codes were typed for tokens by their number, so this one is not looked at. Ask your administrator, or try again tomorrow."

	adviceHOTPNext = "Press the button and type the next one."

	// adviceHOTP is said of every wrong code, so it tells a guesser nothing.
	adviceHOTP = "If the token was pressed many times without a login, type its very next code now."
)
