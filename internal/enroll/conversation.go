package enroll

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/challenge"
	"mfa/internal/deliver"
	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
)

// How prompts end. Programs wait for these.
const (
	endEmail = "Email address: "
	endPhone = "Phone number (like +17891234567): "
	endKept  = "Press Enter when they are kept: "
)

// The choices that set up no method.
const (
	skip  mfa.Method = "skip"
	later mfa.Method = "later"
)

// AtLogin leads somebody who has no second factor to one, within their login. It
// picks up what an earlier connection began. Nothing counts before a code of the
// new method was typed back; then the verdict is Accepted.
func (s *Service) AtLogin(ctx context.Context, c *challenge.Conversation, may mfa.EnrollOffer) (mfa.Verdict, error) {
	begun, err := c.User.SetupBegun(ctx)
	if err != nil {
		return c.Failed(ctx, err)
	}
	if !slices.Contains(may.Choices(), begun.Method) {
		begun.Method = ""
	}
	intro := "A second factor is needed for this account."
	if may.Skip {
		intro = "A second factor protects this account. If you skip it you are not asked again; mfactl enroll sets it up later."
	}
	return s.set(ctx, c, may, begun.Method, intro)
}

// Add sets up one more method, or another in the place of one, for somebody who
// has proven who they are.
func (s *Service) Add(ctx context.Context, c *challenge.Conversation, may mfa.EnrollOffer) (mfa.Verdict, error) {
	return s.set(ctx, c, may, "", "What do you want to set up?")
}

// set has a method chosen and set up, until one is.
func (s *Service) set(ctx context.Context, c *challenge.Conversation, may mfa.EnrollOffer, method mfa.Method, intro string) (mfa.Verdict, error) {
	choices := may.Choices()
	others := len(choices) > 1 || canWait(may)
	if len(choices) == 0 {
		return s.nothing(ctx, c, may)
	}
	last, err := s.last(ctx, c, may)
	if err != nil {
		return c.Failed(ctx, err)
	}
	for {
		if method == "" {
			var err error
			if method, err = s.choose(ctx, c, may, choices, intro); err != nil {
				return c.NoAnswer(ctx, "", err)
			}
		}
		var v mfa.Verdict
		var err error
		switch method {
		case skip:
			return s.skip(ctx, c)
		case later:
			return s.putOff(ctx, c, "the user put enrolling off")
		default:
			v, err = s.setMethod(ctx, c, method, others, last)
		}
		switch {
		case v.Outcome == mfa.Accepted:
			return s.finish(ctx, c, may, v)
		case errors.Is(err, challenge.ErrVoid):
			c.Say(ctx, mfa.Failure, textVoid)
			return mfa.Verdict{Outcome: mfa.MustEnroll, Method: method, Reason: err.Error()}, nil
		case !errors.Is(err, errOther):
			return v, err
		}
		if err := c.User.DropSetup(ctx); err != nil {
			return c.Failed(ctx, err)
		}
		if v.Outcome == mfa.Exhausted && !others {
			return v, nil // there is no other
		}
		method = ""
	}
}

// begunWith returns what was begun of a method, which goes on here; the zero Enrolling if
// nothing was.
func begunWith(ctx context.Context, u *account.User, m mfa.Method) (mfa.Enrolling, error) {
	e, err := u.SetupBegun(ctx)
	if err != nil || e.Method != m || e.ID == "" {
		return mfa.Enrolling{}, err
	}
	return e, nil
}

// canWait says whether somebody may log in without setting anything up now.
func canWait(may mfa.EnrollOffer) bool { return may.Skip || may.NotNow || may.Later > 0 }

// setMethod sets up one method; the error is errOther if another is wanted.
func (s *Service) setMethod(ctx context.Context, c *challenge.Conversation, m mfa.Method, others bool, last string) (v mfa.Verdict, err error) {
	switch m {
	case mfa.Email, mfa.SMS:
		return s.askForContact(ctx, c, m, others, last)
	case mfa.TOTP:
		return s.setTOTP(ctx, c, others, last)
	}
	return v, nil
}

// putOff lets somebody in who sets up nothing now.
func (s *Service) putOff(ctx context.Context, c *challenge.Conversation, why string) (mfa.Verdict, error) {
	if err := c.User.Unchanged(ctx); err != nil {
		return c.Failed(ctx, err)
	}
	return mfa.Verdict{Outcome: mfa.Exempt, Reason: why}, nil
}

// nothing is for somebody who can set up nothing here, as only administrators enter
// addresses. They are let in all the same where they could have put it off, and are told
// whom to ask. It is no choice of theirs, so they are not asked about it, and no skip is
// noted.
func (s *Service) nothing(ctx context.Context, c *challenge.Conversation, may mfa.EnrollOffer) (mfa.Verdict, error) {
	const reason, ask = "no method can be set up by the user", "Nothing can be set up here. Ask your administrator to enroll you."
	if !canWait(may) {
		c.Say(ctx, mfa.Failure, ask)
		return mfa.Verdict{Outcome: mfa.MustEnroll, Reason: reason}, nil
	}
	text := "A second factor protects this account. " + ask
	if may.Later > 0 {
		text = fmt.Sprintf("A second factor is needed for this account within %s. %s", mfa.Span(may.Later), ask)
	}
	if c.Presence != challenge.Absent { // else telling would need an answer
		c.Say(ctx, mfa.Info, text)
	}
	return s.putOff(ctx, c, reason+", and it could be put off")
}

// errOther: another method is to be set up, and what was begun is to be forgotten.
var errOther = errors.New("another method")

// choose shows what can be set up; one thing alone is not asked about.
func (s *Service) choose(ctx context.Context, c *challenge.Conversation, may mfa.EnrollOffer, ms []mfa.Method, intro string) (mfa.Method, error) {
	names := map[mfa.Method]string{
		mfa.TOTP:  "Authenticator app on a phone",
		mfa.Email: "Codes by email",
		mfa.SMS:   "Codes by text message",
	}
	var items []string
	for _, m := range ms {
		items = append(items, names[m])
	}
	all := slices.Clone(ms)
	if may.Later > 0 {
		items, all = append(items, fmt.Sprintf("Later (within %s)", mfa.Span(may.Later))), append(all, later)
	}
	if may.NotNow {
		items, all = append(items, "Not now"), append(all, later)
	}
	if may.Skip {
		items, all = append(items, "Skip for now"), append(all, skip)
	}
	if len(all) == 1 {
		c.Say(ctx, mfa.Info, intro)
		return all[0], nil
	}
	i, _, err := c.Choose(ctx, intro+" Choose one:", items, "")
	return all[max(0, i)], err
}

// skip remembers that the user wants no second factor.
func (s *Service) skip(ctx context.Context, c *challenge.Conversation) (mfa.Verdict, error) {
	if err := s.OptOut(ctx, c.User); err != nil {
		return c.Failed(ctx, err)
	}
	return mfa.Verdict{Outcome: mfa.Exempt, Reason: "the user chose to skip it"}, nil
}

// askForContact has an address or a number entered, or finds the one that was, sends
// a code there, and nowhere else, and waits for it. It can be corrected meanwhile. Last
// is what is said above the code's prompt.
func (s *Service) askForContact(ctx context.Context, c *challenge.Conversation, m mfa.Method, others bool, last string) (mfa.Verdict, error) {
	to, err := begunWith(ctx, c.User, m)
	if err != nil {
		return c.Failed(ctx, err)
	}
	typed := false
	for {
		if to.To == "" {
			to.To, err = s.askContact(ctx, c, m, others)
			switch {
			case errors.Is(err, errOther):
				return mfa.Verdict{}, errOther
			case err != nil:
				return c.NoAnswer(ctx, m, err)
			}
			typed = true
			if to, err = c.User.BeginSetup(ctx, mfa.Enrolling{Method: m, To: to.To}); err != nil {
				return c.Failed(ctx, err)
			}
		}
		q, end, err := c.SentCode(ctx, challenge.Target{Method: m, To: to.To}, to.ID)
		if end != nil && end.Outcome == mfa.Exhausted {
			// Nothing more is sent for now; what needs no sending is open.
			return *end, errOther
		}
		if end != nil {
			return *end, err
		}
		if typed { // whole, or a slip could not be seen
			q.Text += "\nYou typed " + to.To + "."
		}
		key, v, err := c.Pose(ctx, correctable(q, m, others, last))
		switch {
		case key == "c":
			to.To = ""
			continue
		case key == challenge.KeyMenu:
			return mfa.Verdict{}, errOther
		case v.Outcome != mfa.Accepted:
			return v, err
		}
		now := s.Now().UTC().Truncate(time.Second)
		err = s.commit(ctx, c, to, fmt.Sprintf("%s now go to %s.", codesBy[m], deliver.Mask(to.To)), func(en *mfa.Enrollment) {
			en.SetContact(m, &mfa.Address{Address: to.To, Confirmed: now, AddedBy: c.User.Account.ID.Name})
		}, func(*mfa.State) {})
		if err != nil {
			return c.Failed(ctx, err)
		}
		return v, nil
	}
}

// correctable returns the question with the keys that go elsewhere: to correct where
// codes go, and to another method, if there are others. Last ends its text.
func correctable(q challenge.Question, m mfa.Method, others bool, last string) challenge.Question {
	q.Text, q.Keys = q.Text+"\nType c to correct the "+whereto[m].what, []string{"c"}
	if others {
		q.Text, q.Keys = q.Text+", m for another method", []string{"c", challenge.KeyMenu}
	}
	q.Text += "." + last
	return q
}

// whereto is how a method's address is asked for.
var whereto = map[mfa.Method]struct{ what, end string }{
	mfa.Email: {"address", endEmail},
	mfa.SMS:   {"number", endPhone},
}

// askContact has an address or a number typed. The error is errOther if the person
// wants another method, if there are others.
func (s *Service) askContact(ctx context.Context, c *challenge.Conversation, m mfa.Method, others bool) (string, error) {
	text := "Where shall codes go?"
	if others {
		text += " Type m for another method."
	}
	for {
		answer, err := c.Entry(ctx, mfa.Ask, text+"\n"+whereto[m].end)
		if err != nil {
			return "", err
		}
		if others && strings.EqualFold(strings.TrimSpace(answer), challenge.KeyMenu) {
			return "", errOther
		}
		address, err := s.parseContact(m, answer)
		if err == nil {
			return address, nil
		}
		text = err.Error()
	}
}

// setTOTP shows a secret and waits for the app's first code.
func (s *Service) setTOTP(ctx context.Context, c *challenge.Conversation, others bool, last string) (mfa.Verdict, error) {
	begun, err := begunWith(ctx, c.User, mfa.TOTP)
	if err != nil {
		return c.Failed(ctx, err)
	}
	id, cfg := c.User.Account.ID, s.TOTP
	again := ""
	secret, err := s.Accounts.OpenTOTP(id, begun.Secret)
	if begun.Secret == "" || err != nil {
		secret = otp.NewSecret(cfg.Algorithm)
		if begun, err = c.User.BeginSetup(ctx, mfa.Enrolling{Method: mfa.TOTP, Secret: s.Accounts.SealTOTP(id, secret)}); err != nil {
			return c.Failed(ctx, err)
		}
	} else {
		again = fmt.Sprintf("This key was begun with %s ago from here. If that was not you, type n: another is made.", s.age(begun.Began))
	}
	t := mfa.TOTPSecret{Secret: begun.Secret, Algorithm: cfg.Algorithm, Digits: cfg.Digits, Period: cfg.Period}
	q, setup := challenge.Question{Code: c.AppCode(begun.ID, func(context.Context) (mfa.TOTPSecret, error) { return t, nil })}, s.appSetup(id, secret)
	if again != "" {
		q.Keys, setup.text = []string{"n"}, setup.text+"\n\n"+again
	}
	key, v, err := s.poseApp(ctx, c, q, setup, others, last)
	switch {
	case key == challenge.KeyMenu:
		return mfa.Verdict{}, errOther
	case key == "n":
		if err := c.User.DropSetup(ctx); err != nil {
			return c.Failed(ctx, err)
		}
		return s.setTOTP(ctx, c, others, last)
	case v.Outcome != mfa.Accepted:
		return v, err
	}
	t.Secret = s.Accounts.SealTOTP(id, secret) // the key may have changed meanwhile
	t.Confirmed = s.Now().UTC().Truncate(time.Second)
	if err := s.commit(ctx, c, begun, "An authenticator app was added.", func(en *mfa.Enrollment) { en.TOTP = &t },
		func(st *mfa.State) {
			st.TOTPStep = c.SetupStep()
			account.BeginApp(st)
		}); err != nil {
		return c.Failed(ctx, err)
	}
	return v, nil
}

// commit makes a method part of the enrollment, now that it is proven, and tells
// the address that was confirmed before, with where it was begun. Spend notes what its
// proof used up, once it counts.
func (s *Service) commit(ctx context.Context, c *challenge.Conversation, begun mfa.Enrolling, what string, edit func(*mfa.Enrollment), spend func(*mfa.State)) error {
	id := c.User.Account.ID
	what += fmt.Sprintf(" It was begun %s before, over %s.", s.age(begun.Began), begun.From())
	_, _, err := c.User.Change(ctx, account.Change{
		Fresh: true,
		Edit: func(en *mfa.Enrollment) error {
			edit(en)
			return nil
		},
		Anew: begun.Method,
		Tidy: func(st *mfa.State) {
			spend(st)
			if st.Enrolling != nil && st.Enrolling.ID == begun.ID {
				st.Enrolling = nil
			}
		},
		Event:  mfa.Event{Event: audit.Enrolled, Method: string(begun.Method), Actor: id.Name, Reason: what},
		Notice: account.Notice{Subject: subjectChanged, What: what, Advice: adviceChanged},
	})
	return err
}

const textVoid = "Setting this up was begun anew from another place or window, so this one is void. If you did not do that, tell your administrator."

const adviceChanged = "If this was not you, tell your administrator at once: somebody can log\nin as you."

// finish shows backup codes, if there are none yet, and waits until they are kept.
func (s *Service) finish(ctx context.Context, c *challenge.Conversation, may mfa.EnrollOffer, v mfa.Verdict) (mfa.Verdict, error) {
	en, err := s.enrollment(ctx, c.User.Account.ID)
	if err != nil {
		return c.Failed(ctx, err)
	}
	if !needsBackup(en, may) {
		c.Say(ctx, mfa.Info, "Done: it works.")
		return v, nil
	}
	codes, err := s.NewBackupCodes(ctx, c.User)
	if err != nil {
		return c.Failed(ctx, err)
	}
	text := fmt.Sprintf("%s\nDone: it works. This screen waits %s; if it goes away, all of it is good, and the next login asks for it.\n%s",
		BackupText(codes), c.Patience(ctx), endKept)
	if _, err := c.Entry(ctx, mfa.Ask, text); err != nil {
		// They are set up and have proven it; the codes can be made anew.
		s.Log.Warn("nobody confirmed to have kept the backup codes", "user", c.User.Account.ID.Name, "error", err)
	}
	return v, nil
}

// needsBackup says whether a setup ends with backup codes.
func needsBackup(en mfa.Enrollment, may mfa.EnrollOffer) bool {
	return en.Backup == nil && slices.Contains(may.Methods, mfa.Backup)
}

// last is what a setup says above the prompt for its code, if that is its last one:
// behind it nothing can be said once where sshd shows it (see login's farEnd).
func (s *Service) last(ctx context.Context, c *challenge.Conversation, may mfa.EnrollOffer) (string, error) {
	en, err := s.enrollment(ctx, c.User.Account.ID) // nothing, if there is none
	switch {
	case err != nil && !errors.Is(err, ErrNotEnrolled):
		return "", err
	case needsBackup(en, may):
		return "", nil
	}
	return "\nWith the right code you are done.", nil
}

// BackupText shows backup codes, two in a row.
func BackupText(codes []string) string {
	var b strings.Builder
	b.WriteString("Backup codes, for the day the other ways fail. Each works once. They are shown this once: print them, or write them down.\n")
	for i, code := range codes {
		if i%2 == 0 {
			b.WriteString("\n ")
		}
		b.WriteString("  " + code)
	}
	b.WriteString("\n")
	return b.String()
}

// NewBackupCodes makes a new set, which ends the old one at once, and tells so by
// mail if there was one.
func (s *Service) NewBackupCodes(ctx context.Context, u *account.User) ([]string, error) {
	id := u.Account.ID
	codes, set, err := factor.NewBackupSet(rand.Reader, s.BackupCodes)
	if err != nil {
		return nil, err
	}
	set.Made = s.Now().UTC()
	before, _, err := u.Change(ctx, account.Change{
		Edit: func(en *mfa.Enrollment) error {
			if en.UID != id.UID || !en.Enrolled() {
				return fmt.Errorf("user %q is %w", id.Name, ErrNotEnrolled)
			}
			en.Backup = &set
			return nil
		},
		Anew:  mfa.Backup,
		Event: mfa.Event{Event: audit.Enrolled, Method: string(mfa.Backup), Actor: id.Name, Reason: "new backup codes"},
	})
	if err != nil {
		return nil, err
	}
	if before.Backup != nil {
		u.Notify(before, account.Notice{Subject: "New backup codes", What: "New backup codes were made; the old ones are void.", Advice: adviceChanged})
	}
	return codes, nil
}

// age says how long ago something was.
func (s *Service) age(t time.Time) string { return mfa.Span(max(0, s.Now().Sub(t))) }
