package enroll

import (
	"context"
	"strings"
	"time"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/challenge"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// SetApp gives id a new authenticator app, which replaces one that is there, and
// returns what the user needs to set it up. The app counts as confirmed
// once a code of it was typed. Actor is the administrator.
func (s *Service) SetApp(ctx context.Context, id mfa.Identity, actor string) (Shown, error) {
	secret := otp.NewSecret(s.TOTP.Algorithm)
	t := mfa.TOTPSecret{
		Secret: s.Accounts.SealTOTP(id, secret), Algorithm: s.TOTP.Algorithm, Digits: s.TOTP.Digits, Period: s.TOTP.Period,
	}
	before, _, err := s.Accounts.ByAdministrator(id).Change(ctx, account.Change{
		Fresh: true,
		Edit: func(en *mfa.Enrollment) error {
			en.TOTP = &t
			return nil
		},
		Anew: mfa.TOTP,
		Tidy: func(st *mfa.State) {
			s.Accounts.NewApp(st, s.Now(), time.Duration(t.Period))
			account.BeginApp(st)
		},
		Event:  mfa.Event{Event: audit.Enrolled, Method: string(mfa.TOTP), Actor: actor, Reason: "app entered"},
		Notice: account.Notice{Subject: text.Of(subjectChanged), What: text.Of("An authenticator app was set up for you, by an administrator."), Advice: text.Of(adviceAsk)},
	})
	if err != nil {
		return Shown{}, err
	}
	return s.appSetup(nil, id, secret).shown(before.TOTP != nil), nil
}

// Shown is what an administrator hands over to a user, once.
type Shown struct {
	Text    string // the key, and the address that has it; empty: there is nothing to hand over
	Drawing string // the address as a QR code; empty: prompt.qr is off

	Replaces bool // the user had one before, which counts no more
}

// An appSetup is what a person needs to set up an authenticator app.
type appSetup struct {
	text    string // the key, and the address that has it
	then    string // what is typed then, in English
	drawing string // the address as a QR code; empty: prompt.qr is off
}

func (a appSetup) shown(replaces bool) Shown {
	return Shown{a.text, strings.TrimRight(a.drawing, "\n"), replaces}
}

// appSetup returns the appSetup for a new app of id, in the language of w.
func (s *Service) appSetup(w *text.Printer, id mfa.Identity, secret []byte) appSetup {
	p := otp.Params{Digits: s.TOTP.Digits, Period: time.Duration(s.TOTP.Period), Algorithm: s.TOTP.Algorithm}
	return s.drawn(w, s.uri(id, func(issuer, account string) string { return otp.URI(issuer, account, secret, p) }),
		secret, textAddApp, thenApp)
}

// drawn returns what an app is set up from by uri, which has the secret. Do says what to
// do with it, and then what is typed next, both in English.
func (s *Service) drawn(w *text.Printer, uri string, secret []byte, do, then string) appSetup {
	drawing, err := otp.QR(uri, s.QR)
	if err != nil { // too long; the key can be typed
		drawing = ""
	}
	return appSetup{text: w.Say(do) + "\n\n" + w.Say("Key: %s", otp.Groups(secret)) + "\n\n" + uri, then: then, drawing: drawing}
}

// uri names the account by the site that totp.issuer gives and the host, or by the host
// alone; by less, if the QR code would not fit on a terminal of 24 lines.
func (s *Service) uri(id mfa.Identity, write func(issuer, account string) string) (uri string) {
	short, _, _ := strings.Cut(s.Host, ".")
	names := []struct{ issuer, account string }{{s.Host, id.Name}, {short, id.Name}, {"", id.Name + "@" + short}}
	if site := s.TOTP.Issuer; site != "" {
		names = []struct{ issuer, account string }{{site, id.Name + "@" + s.Host}, {site, id.Name + "@" + short}, {site, id.Name}}
	}
	for _, n := range names {
		if uri = write(n.issuer, n.account); len(uri) <= otp.ScreenText {
			break
		}
	}
	return uri
}

// app shows the key of an app and waits for its first code.
func (p *setup) app(ctx context.Context) (mfa.Verdict, error) {
	begun, key, err := p.begun(ctx, mfa.TOTP)
	again := ""
	switch {
	case err != nil:
	case key != nil:
		again = p.c.Words("This key was begun with %s from here. If that was not you, type n: another is made.", text.AgoOf(p.s.age(begun.Began)))
	default:
		key = otp.NewSecret(p.s.TOTP.Algorithm)
		begun, err = p.c.User.BeginApp(ctx, key)
	}
	if err != nil {
		return p.c.Failed(ctx, err)
	}
	t := mfa.TOTPSecret{Secret: begun.Secret, Algorithm: p.s.TOTP.Algorithm, Digits: p.s.TOTP.Digits, Period: p.s.TOTP.Period}
	code := p.c.AppCode(begun.ID, func(context.Context) (mfa.TOTPSecret, error) { return t, nil })
	typed, v, err := p.poseApp(ctx, code, p.s.appSetup(p.c.User.Words(), p.c.User.Account.ID, key), again)
	switch {
	case typed == challenge.KeyMenu:
		return mfa.Verdict{}, errOther
	case typed == keyAnew:
		if err := p.c.User.DropSetup(ctx); err != nil {
			return p.c.Failed(ctx, err)
		}
		return p.app(ctx)
	case v.Outcome != mfa.Accepted:
		return v, err
	}
	t.Secret = p.s.Accounts.SealTOTP(p.c.User.Account.ID, key) // the daemon's key may have changed meanwhile
	t.Confirmed = p.s.Now().UTC().Truncate(time.Second)
	return p.complete(ctx, v, proven{
		begun: begun, what: text.Of("An authenticator app was added."),
		edit: func(en *mfa.Enrollment) { en.TOTP = &t },
		spend: func(st *mfa.State) {
			st.TOTPStep = p.c.SetupStep()
			account.BeginApp(st)
		},
	})
}

// Texts for the code that an app or a token shows, once it is set up.
const (
	thenApp   = "Then type the code that the app shows. You have %s; if that is not enough, begin again from here, and this key stays."
	thenToken = "Then type the code that the token shows. You have %s; if that is not enough, begin again from here, and this key stays."
)

const textAddApp = "Add this key to your authenticator app."

const textOther = "Type m for another method."

// Keys that show the QR code, and that make another secret for the app.
const (
	keyDrawing = "q"
	keyAnew    = "n"
)

// poseApp shows what the app is set up from and waits for its first code. The QR
// code is shown only if it is asked for, alone: the height of the terminal is not known
// here. Again is shown, too, if it is not empty. It returns the key that the person typed
// to leave, if any: keyAnew, or KeyMenu if there are other methods.
func (p *setup) poseApp(ctx context.Context, code challenge.Code, shown appSetup, again string) (key string, v mfa.Verdict, err error) {
	q := challenge.Question{Code: code, Text: shown.text}
	if again != "" {
		q.Text, q.Keys = q.Text+"\n\n"+again, []string{keyAnew}
	}
	q.Text += "\n"
	if shown.drawing != "" {
		q.Text, q.Keys = q.Text+"\n"+p.c.Words("Type q to see it as a QR code."), append(q.Keys, keyDrawing)
	}
	q.Text += "\n" + p.c.Words(shown.then, p.c.Patience(ctx))
	if p.others {
		q.Text, q.Keys = q.Text+"\n"+p.c.Words(textOther), append(q.Keys, challenge.KeyMenu)
	}
	q.Text += p.last
	for {
		key, v, err = p.c.Pose(ctx, q)
		if key != keyDrawing {
			return key, v, err
		}
		q.Text = "\n" + strings.TrimRight(shown.drawing, "\n") // ssh writes into the first line
	}
}
