package enroll

import (
	"context"
	"errors"
	"strings"
	"time"

	"mfa/internal/challenge"
	"mfa/internal/deliver"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// How prompts end. Programs wait for these.
const (
	endEmail = "Email address: "
	endPhone = "Phone number (like +17891234567): "
)

// A place is what is said of where codes of a method go, in English.
type place struct{ end, correct, correctOr, known, knownOr string }

var (
	mailbox = place{
		end: endEmail, correct: "Type c to correct the address.", correctOr: "Type c to correct the address, m for another method.",
		known:   "The directory says that your address is %s. Press Enter to have a code sent there.",
		knownOr: "The directory says that your address is %s. Press Enter to have a code sent there, or type another.",
	}
	telephone = place{
		end: endPhone, correct: "Type c to correct the number.", correctOr: "Type c to correct the number, m for another method.",
		known:   "The directory says that your number is %s. Press Enter to have a code sent there.",
		knownOr: "The directory says that your number is %s. Press Enter to have a code sent there, or type another.",
	}
)

// placeOf returns the place of a method.
func placeOf(m mfa.Method) place {
	if m.Rings() {
		return telephone
	}
	return mailbox
}

// contact asks for an address or a number, or takes the one of a setup that was begun,
// sends a code there and nowhere else, and waits for it. The person can correct it
// meanwhile.
func (p *setup) contact(ctx context.Context, m mfa.Method) (mfa.Verdict, error) {
	to, _, err := p.begun(ctx, m)
	if err != nil {
		return p.c.Failed(ctx, err)
	}
	if known := p.may.Known[m]; known != "" && p.may.OnlyKnown && to.To != known {
		to.To = "" // begun when another could be
	}
	typed := false
	for {
		if to.To == "" {
			var end *mfa.Verdict
			if to, typed, end, err = p.enter(ctx, m); end != nil {
				return *end, err
			}
		}
		q, end, err := p.c.SentCode(ctx, challenge.Target{Method: m, To: to.To}, to.ID)
		if end != nil && end.Outcome == mfa.Exhausted {
			// Nothing more is sent for now; what needs no sending is open.
			return *end, errOther
		}
		if end != nil {
			return *end, err
		}
		if typed { // whole, or a slip could not be seen
			q.Text += "\n" + p.c.Words("You typed %s.", to.To)
		}
		key, v, err := p.c.Pose(ctx, p.correctable(q, m))
		switch {
		case key == "c":
			to.To = ""
			continue
		case key == challenge.KeyMenu:
			return mfa.Verdict{}, errOther
		case v.Outcome != mfa.Accepted:
			return v, err
		}
		return p.confirmed(ctx, v, m, to)
	}
}

// confirmed makes the address or number of to the user's, now that a code from there was
// typed.
func (p *setup) confirmed(ctx context.Context, v mfa.Verdict, m mfa.Method, to mfa.Enrolling) (mfa.Verdict, error) {
	now := p.s.Now().UTC().Truncate(time.Second)
	return p.complete(ctx, v, proven{
		begun: to, what: text.Of(goTo[m].own, deliver.Mask(to.To)),
		edit: func(en *mfa.Enrollment) {
			en.SetContact(m, &mfa.Address{Address: to.To, Confirmed: now, AddedBy: p.from(m, to.To)})
			if m == mfa.Call { // else a text would be as good, which a landline does not get
				en.Preferred = mfa.Call
			}
		},
	})
}

// enter has an address or a number entered, or confirmed if the directory has one, and
// begins its setup; or it returns how that ends.
func (p *setup) enter(ctx context.Context, m mfa.Method) (to mfa.Enrolling, typed bool, end *mfa.Verdict, err error) {
	address, typed, err := p.askContact(ctx, m)
	if errors.Is(err, errOther) {
		return to, false, &mfa.Verdict{}, errOther
	}
	var v mfa.Verdict
	if err != nil {
		v, err = p.c.NoAnswer(ctx, m, err)
		return to, false, &v, err
	}
	if to, err = p.c.User.BeginSetup(ctx, mfa.Enrolling{Method: m, To: address}); err != nil {
		v, err = p.c.Failed(ctx, err)
		return to, false, &v, err
	}
	return to, typed, nil, nil
}

// from says who entered an address.
func (p *setup) from(m mfa.Method, address string) string {
	if address == p.may.Known[m] {
		return "the directory"
	}
	return p.c.User.Account.ID.Name
}

// correctable returns the question with a key to correct the address, and one for another
// method, if there are others.
func (p *setup) correctable(q challenge.Question, m mfa.Method) challenge.Question {
	told, keys := placeOf(m).correct, []string{"c"}
	if p.others {
		told, keys = placeOf(m).correctOr, append(keys, challenge.KeyMenu)
	}
	q.Text, q.Keys = q.Text+"\n"+p.c.Words(told)+p.last, keys
	return q
}

// askContact has an address or a number typed, or confirmed if the directory has one. The
// error is errOther if the person wants another method, if there are others.
func (p *setup) askContact(ctx context.Context, m mfa.Method) (to string, typed bool, err error) {
	if known := p.may.Known[m]; known != "" {
		to, is, err := p.askKnown(ctx, m, known, deliver.Mask(known))
		return to, !is, err
	}
	told := p.orOther(p.c.Words("Where should codes be sent?"))
	for {
		answer, err := p.answer(ctx, m, told)
		if err != nil {
			return "", false, err
		}
		address, err := p.s.parseContact(m, answer)
		if err == nil {
			return address, true, nil
		}
		told = p.wrong(err)
	}
}

// orOther adds that another method can be had, if there are others.
func (p *setup) orOther(told string) string {
	if p.others {
		told = p.c.User.Words().Join(told, p.c.Words(textOther))
	}
	return told
}

// wrong says to the person what is wrong with what they typed.
func (p *setup) wrong(err error) string { return WrongOf(err).In(p.c.User.Words()) }

// answer has a line typed where an address or a number is asked for. The error is
// errOther if it says that another method is wanted, if there are others.
func (p *setup) answer(ctx context.Context, m mfa.Method, told string) (string, error) {
	answer, err := p.c.Entry(ctx, mfa.Ask, told+"\n"+p.c.Words(placeOf(m).end))
	if answer = strings.TrimSpace(answer); err == nil && p.others && text.Key(answer) == challenge.KeyMenu {
		err = errOther
	}
	return answer, err
}
