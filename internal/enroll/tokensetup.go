package enroll

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"mfa/internal/account"
	"mfa/internal/challenge"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// endToken is how the prompt for a token ends. Programs wait for it.
const endToken = "Serial number or secret: "

// Words in mfa.Enrolling.To of a token. It is empty for a secret that was typed.
const (
	asApp    = "app" // its secret was made for an app that counts
	ofNumber = "#"   // the number of one from the shelf follows
)

// An offer is a token that somebody named to set it up.
type offer struct {
	secret []byte
	to     string // see asApp
}

// token has a token set up: from the shelf by its number, by its secret, or an app that
// counts; and then its first code.
func (p *setup) token(ctx context.Context) (mfa.Verdict, error) {
	begun, secret, err := p.begun(ctx, mfa.HOTP)
	again := ""
	switch {
	case err != nil:
		return p.c.Failed(ctx, err)
	case secret != nil:
		again = p.c.Words("This was begun %s from here. If that was not you, type n to begin anew.", text.AgoOf(p.s.age(begun.Began)))
	default:
		o, v, err := p.askToken(ctx)
		if o.secret == nil {
			return v, err
		}
		secret = o.secret
		if begun, err = p.c.User.BeginToken(ctx, secret, o.to); err != nil {
			return p.c.Failed(ctx, err)
		}
	}
	return p.proveToken(ctx, begun, secret, again)
}

// askToken has a token named. Without one it is how the setup ends; the error is errOther
// for who wants another method.
func (p *setup) askToken(ctx context.Context) (o offer, v mfa.Verdict, err error) {
	ask := p.c.Words("Type the number on your token; or its secret, as its paper or file has it, in base32 or hexadecimal.") + "\n" +
		p.c.Words("If an app that counts is your token, type q: a key for it is made.")
	if p.others {
		ask += "\n" + p.c.Words(textOther)
	}
	told := ask
	for {
		answer, err := p.c.Entry(ctx, mfa.Ask, told+"\n"+p.c.Words(endToken))
		if err != nil {
			v, err = p.c.NoAnswer(ctx, mfa.HOTP, err)
			return offer{}, v, err
		}
		switch answer = strings.TrimSpace(answer); {
		case text.Key(answer) == keyDrawing:
			return offer{otp.NewSecret(usualToken.Algorithm), asApp}, v, nil
		case p.others && text.Key(answer) == challenge.KeyMenu:
			return offer{}, v, errOther
		}
		if o, err = p.s.named(ctx, p.c.User.Account.ID, answer); err != nil {
			v, err = p.c.Failed(ctx, err)
			return offer{}, v, err
		}
		if o.secret != nil {
			return o, v, nil
		}
		told = p.c.Words("No token of that number waits for its user, and it is no secret: that has 16 letters and digits or more.") + "\n" + ask
	}
}

// named returns the token that somebody means: one from the shelf by its number, or one of
// which that is the secret; without a secret, if it is neither.
func (s *Service) named(ctx context.Context, id mfa.Identity, answer string) (offer, error) {
	if answer != "" && IsSerial(answer) {
		_, secret, ok, err := s.Accounts.Shelved(ctx, answer, id)
		if ok || err != nil {
			return offer{secret, ofNumber + answer}, err
		}
	}
	secret, err := otp.ParseTokenSecret(answer)
	if err != nil {
		return offer{}, nil // it is asked for again
	}
	return offer{secret, ""}, nil
}

// textAsSecret tells who typed a long number, which could be a secret too, as what it was taken.
const textAsSecret = "No token of that number waits for its user, so what you typed was taken as the secret of your token.\n" +
	"If it was the number on it, no code of it will be right: ask your administrator to bring the token in.\nPress the button of your token."

// proveToken waits for the first code of a token, and makes it part of the enrollment. How
// many digits it shows, the code tells, unless it is from the shelf.
func (p *setup) proveToken(ctx context.Context, begun mfa.Enrolling, secret []byte, again string) (mfa.Verdict, error) {
	id := p.c.User.Account.ID
	shown := appSetup{text: p.c.Words(textAsSecret), then: thenToken}
	trial := mfa.HOTPSecret{Secret: begun.Secret, Algorithm: usualToken.Algorithm}
	serial, numbered := strings.CutPrefix(begun.To, ofNumber)
	switch {
	case begun.To == asApp:
		shown = p.s.countingApp(p.c.User.Words(), id, secret)
	case numbered:
		t, err := p.s.fromShelf(ctx, id, serial)
		if errors.Is(err, ErrInvalid) || err == nil && !bytes.Equal(t.Secret, secret) {
			return p.tokenAnew(ctx)
		}
		if err != nil {
			return p.c.Failed(ctx, err)
		}
		shown.text = p.c.Words("It is the token of the number %s. Press its button.", serial)
		trial.Algorithm, trial.Digits, trial.Counter, trial.Serial = t.Params.Algorithm, t.Params.Digits, t.Count, serial
	}
	code := p.c.TokenSetup(begun.ID, trial)
	typed, v, err := p.poseApp(ctx, code, shown, again)
	switch {
	case typed == challenge.KeyMenu:
		return mfa.Verdict{}, errOther
	case typed == keyAnew:
		return p.tokenAnew(ctx)
	case v.Outcome != mfa.Accepted:
		return v, err
	}
	return p.keepToken(ctx, v, begun, Token{
		Secret: secret, Params: otp.Params{Digits: p.c.SetupDigits(), Algorithm: trial.Algorithm}, Count: p.c.SetupStep(), Serial: trial.Serial,
	})
}

// tokenAnew forgets the token that was begun, and has another named.
func (p *setup) tokenAnew(ctx context.Context) (mfa.Verdict, error) {
	if err := p.c.User.DropSetup(ctx); err != nil {
		return p.c.Failed(ctx, err)
	}
	return p.token(ctx)
}

const textTaken = "That token is somebody else's by now. Ask your administrator."

// taken is how the setup ends of a token that is somebody else's, as err says.
func (p *setup) taken(ctx context.Context, err error) (mfa.Verdict, error) {
	p.c.Say(ctx, mfa.Failure, p.c.Words(textTaken))
	return mfa.Verdict{Outcome: mfa.MustEnroll, Method: mfa.HOTP, Reason: err.Error()}, nil
}

// keepToken makes a token that was proven by v part of the enrollment.
func (p *setup) keepToken(ctx context.Context, v mfa.Verdict, begun mfa.Enrolling, t Token) (mfa.Verdict, error) {
	id := p.c.User.Account.ID
	if t.Serial != "" {
		err := p.s.Accounts.Take(ctx, t.Serial, t.Secret, id)
		if errors.Is(err, account.ErrTaken) {
			return p.taken(ctx, err)
		}
		if err != nil {
			return p.c.Failed(ctx, err)
		}
	}
	kept := p.s.kept(id, t) // sealed anew: the daemon's key may have changed meanwhile
	kept.Confirmed = p.s.Now().UTC().Truncate(time.Second)
	return p.complete(ctx, v, proven{
		begun: begun, what: t.added(),
		edit: func(en *mfa.Enrollment) { en.HOTP = kept },
		own:  t.owned(),
	})
}
