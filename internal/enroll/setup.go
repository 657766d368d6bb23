package enroll

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/challenge"
	"mfa/internal/factor"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// The choices that set up no method.
const (
	skip  mfa.Method = "skip"
	later mfa.Method = "later"
)

// AtLogin has a user without a second factor set one up, within their login. It resumes
// what an earlier connection from the same origin began. Nothing counts before a code of
// the new method was typed back; then the verdict is Accepted. It is Exempt if the user
// puts it off or skips it, where may allows that.
func (s *Service) AtLogin(ctx context.Context, c *challenge.Conversation, may mfa.EnrollOffer) (mfa.Verdict, error) {
	begun, _, err := c.User.SetupBegun(ctx)
	if err != nil {
		return c.Failed(ctx, err)
	}
	if !slices.Contains(may.Choices(), begun.Method) {
		begun.Method = ""
	}
	intro := c.Words(textNeeded)
	if may.Skip {
		intro = c.User.Words().Join(c.Words(textProtects), c.Words("If you skip it you are not asked again; mfactl enroll sets it up later."))
	}
	return s.setUp(ctx, c, may, begun.Method, intro)
}

// Add sets up one more method, or replaces one. The caller has proven the user before, by
// login.Engine.Prove.
func (s *Service) Add(ctx context.Context, c *challenge.Conversation, may mfa.EnrollOffer) (mfa.Verdict, error) {
	return s.setUp(ctx, c, may, "", c.Words("What do you want to set up?"))
}

// setUp has the user set up method; if that is empty, one that they choose.
func (s *Service) setUp(ctx context.Context, c *challenge.Conversation, may mfa.EnrollOffer, method mfa.Method, intro string) (mfa.Verdict, error) {
	p := &setup{s: s, c: c, may: may, others: len(may.Choices()) > 1 || canWait(may)}
	if len(may.Choices()) == 0 {
		return p.nothing(ctx)
	}
	en, err := c.User.Account.Enrollment(ctx)
	if err != nil {
		return c.Failed(ctx, err)
	}
	p.backup = slices.Contains(may.Methods, mfa.Backup) && s.Accounts.CurrentEnrollment(en, c.User.Account.ID).Backup == nil
	if !p.backup {
		p.last = "\n" + c.Words(textLast)
	}
	return p.run(ctx, method, intro)
}

// A setup is somebody setting up a method, in one conversation.
type setup struct {
	s      *Service
	c      *challenge.Conversation
	may    mfa.EnrollOffer
	others bool   // something else can be chosen
	last   string // what is said above the prompt for the code
	backup bool   // backup codes are made with the method
}

// errOther: the person wants another method; what was begun is dropped.
var errOther = errors.New("another method")

// run asks for a method and sets it up, until one is set up or the person ends it.
func (p *setup) run(ctx context.Context, method mfa.Method, intro string) (mfa.Verdict, error) {
	for {
		if method == "" {
			var err error
			if method, err = p.choose(ctx, intro); err != nil {
				return p.c.NoAnswer(ctx, "", err)
			}
		}
		v, err := p.one(ctx, method)
		switch {
		case errors.Is(err, challenge.ErrVoid):
			p.c.Say(ctx, mfa.Failure, p.c.Words(textVoid))
			return mfa.Verdict{Outcome: mfa.MustEnroll, Method: method, Reason: err.Error()}, nil
		case !errors.Is(err, errOther):
			return v, err
		}
		if err := p.c.User.DropSetup(ctx); err != nil {
			return p.c.Failed(ctx, err)
		}
		if v.Outcome == mfa.Exhausted && !p.others {
			return v, nil // there is no other
		}
		method = ""
	}
}

const (
	textNeeded   = "A second factor is needed for this account."
	textProtects = "A second factor protects this account."
)

const textVoid = "Setting this up was begun anew from another place or window, so this one is void. If you did not do that, tell your administrator."

// one carries out a choice. The error is errOther if the person wants another method.
func (p *setup) one(ctx context.Context, choice mfa.Method) (mfa.Verdict, error) {
	switch choice {
	case skip:
		return p.skip(ctx)
	case later:
		return p.putOff(ctx, "the user put enrolling off")
	case mfa.Email, mfa.SMS, mfa.Call:
		return p.contact(ctx, choice)
	case mfa.TOTP:
		return p.app(ctx)
	case mfa.HOTP:
		return p.token(ctx)
	}
	return mfa.Verdict{}, fmt.Errorf("method %q cannot be set up in a conversation", choice)
}

// begun returns what was begun of a method, which goes on here, and the key of an app or
// a token;
// the zero Enrolling if nothing was.
func (p *setup) begun(ctx context.Context, m mfa.Method) (mfa.Enrolling, []byte, error) {
	e, key, err := p.c.User.SetupBegun(ctx)
	if err != nil || e.Method != m || e.ID == "" {
		return mfa.Enrolling{}, nil, err
	}
	return e, key, nil
}

// choose shows what can be set up and returns the choice. A single choice is not asked
// about.
func (p *setup) choose(ctx context.Context, intro string) (mfa.Method, error) {
	names := map[mfa.Method]string{
		mfa.TOTP:  p.c.Words("Authenticator app on a phone"),
		mfa.HOTP:  p.c.Words("Hardware token, or an app that counts"),
		mfa.Email: p.c.Words("Codes by email"),
		mfa.SMS:   p.c.Words("Codes by text message"),
		mfa.Call:  p.c.Words("Codes by phone call, for landlines too"),
	}
	all := p.may.Choices()
	var items []string
	for _, m := range all {
		items = append(items, names[m])
	}
	all = slices.Clone(all)
	if p.may.Later > 0 {
		items, all = append(items, p.c.Words("Later (within %s)", text.SpanOf(p.may.Later))), append(all, later)
	}
	if p.may.NotNow {
		items, all = append(items, p.c.Words("Not now")), append(all, later)
	}
	if p.may.Skip {
		items, all = append(items, p.c.Words("Skip for now")), append(all, skip)
	}
	if len(all) == 1 {
		p.c.Say(ctx, mfa.Info, intro)
		return all[0], nil
	}
	i, _, err := p.c.Choose(ctx, p.c.User.Words().Join(intro, p.c.Words("Choose one:")), items, "")
	return all[max(0, i)], err
}

// canWait reports whether the user may log in without setting anything up now.
func canWait(may mfa.EnrollOffer) bool { return may.Skip || may.NotNow || may.Later > 0 }

// putOff returns the verdict for a user who sets up nothing now: Exempt, if neither user
// nor rules changed.
func (p *setup) putOff(ctx context.Context, why string) (mfa.Verdict, error) {
	if err := p.c.User.Unchanged(ctx); err != nil {
		return p.c.Failed(ctx, err)
	}
	return mfa.Verdict{Outcome: mfa.Exempt, Reason: why}, nil
}

// skip stores that the user wants no second factor.
func (p *setup) skip(ctx context.Context) (mfa.Verdict, error) {
	if err := p.s.OptOut(ctx, p.c.User); err != nil {
		return p.c.Failed(ctx, err)
	}
	return mfa.Verdict{Outcome: mfa.Exempt, Reason: "the user chose to skip it"}, nil
}

// nothing is for a user who can set up nothing here, as only administrators enter
// addresses. They are let in if they could have put it off, and are told whom to ask. As
// it is not their choice, they are not asked, and no skip is stored.
func (p *setup) nothing(ctx context.Context) (mfa.Verdict, error) {
	const reason = "no method can be set up by the user"
	ask := p.c.Words("Nothing can be set up here. Ask your administrator to enroll you.")
	if !canWait(p.may) {
		p.c.Say(ctx, mfa.Failure, ask)
		return mfa.Verdict{Outcome: mfa.MustEnroll, Reason: reason}, nil
	}
	told := p.c.Words(textProtects)
	if p.may.Later > 0 {
		told = p.c.Words("A second factor is needed for this account within %s.", text.SpanOf(p.may.Later))
	}
	if p.c.Presence != challenge.Absent { // else telling would need an answer
		p.c.Say(ctx, mfa.Info, p.c.User.Words().Join(told, ask))
	}
	return p.putOff(ctx, reason+", and it could be put off")
}

// A proven is a new method whose code was right.
type proven struct {
	begun mfa.Enrolling
	what  text.Sentence         // that says what happened
	edit  func(*mfa.Enrollment) // adds it
	own   *factor.Token         // that it is; nil: it is none
	spend func(*mfa.State)      // notes what its proof used up, once it counts; nil: nothing
}

// complete makes a method part of the enrollment, now that it is proven by v, and backup
// codes, if there are none yet; tells the address that was confirmed before, with where it
// was begun, and shows the codes.
func (p *setup) complete(ctx context.Context, v mfa.Verdict, m proven) (mfa.Verdict, error) {
	what := text.Both(m.what, begunAt(m.begun, p.s.age(m.begun.Began)))
	var codes []string
	var set *mfa.BackupSet
	var also []mfa.Event
	if p.backup {
		var err error
		if codes, set, err = p.s.newBackupSet(); err != nil {
			return p.c.Failed(ctx, err)
		}
		also = append(also, p.s.backupEvent(p.c.User.Account.ID))
	}
	_, _, err := p.c.User.Change(ctx, account.Change{
		Fresh: true,
		Edit: func(en *mfa.Enrollment) error {
			if m.edit(en); set != nil {
				en.Backup = set
			}
			return nil
		},
		Anew: m.begun.Method,
		Own:  m.own,
		Tidy: func(st *mfa.State) {
			if m.spend != nil {
				m.spend(st)
			}
			if set != nil {
				delete(st.MethodFailures, mfa.Backup)
			}
			if st.Enrolling != nil && st.Enrolling.ID == m.begun.ID {
				st.Enrolling = nil
			}
		},
		Event:  mfa.Event{Event: audit.Enrolled, Method: string(m.begun.Method), Actor: p.c.User.Account.ID.Name, Reason: what.String()},
		Also:   also,
		Notice: account.Notice{Subject: text.Of(subjectChanged), What: what, Advice: text.Of(adviceChanged)},
	})
	if errors.Is(err, account.ErrTaken) {
		return p.taken(ctx, err)
	}
	if err != nil {
		return p.c.Failed(ctx, err)
	}
	return p.finish(ctx, v, codes)
}

// begunAt says where and how long before a setup was begun.
func begunAt(e mfa.Enrolling, age time.Duration) text.Sentence {
	service, address, known := e.BegunAt()
	if !known {
		return text.Of("It was begun %s before, over an unknown place.", text.SpanOf(age))
	}
	return text.Of("It was begun %s before, over %s from %s.", text.SpanOf(age), service, address)
}

// age returns how long ago something was.
func (s *Service) age(t time.Time) time.Duration { return max(0, s.Now().Sub(t)) }
