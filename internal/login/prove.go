package login

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"mfa/internal/account"
	"mfa/internal/challenge"
	"mfa/internal/deliver"
	"mfa/internal/factor"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// fewBackupCodes is how many backup codes are left when a mail says so.
const fewBackupCodes = 2

// usable returns the methods of allowed that the user has, the preferred one
// first, backup codes last: they are for the day the others fail.
func usable(en mfa.Enrollment, allowed []mfa.Method) []mfa.Method {
	var ms []mfa.Method
	for _, m := range allowed {
		if en.Has(m) {
			ms = append(ms, m)
		}
	}
	slices.SortStableFunc(ms, func(a, b mfa.Method) int { return rank(a, en.Preferred) - rank(b, en.Preferred) })
	return ms
}

func rank(m, preferred mfa.Method) int {
	switch m {
	case preferred:
		return 0
	case mfa.Backup:
		return 2
	}
	return 1
}

// sends says whether a method costs a message, which nobody gets unasked when
// there is a choice.
func sends(m mfa.Method) bool { return m == mfa.Email || m.Rings() }

// firstMethod returns the method to begin with: the first, unless that would send
// something, there are others, and the user does not prefer it. Then it is "": they
// choose.
func firstMethod(en mfa.Enrollment, methods []mfa.Method) mfa.Method {
	several := len(methods) > 1 && methods[1] != mfa.Backup // backup codes are the way out, not a choice
	if several && sends(methods[0]) && methods[0] != en.Preferred {
		return ""
	}
	return methods[0]
}

// prove asks for one of the methods, which are not empty, until there is a decision.
func (l *attempt) prove(ctx context.Context, en mfa.Enrollment, methods []mfa.Method) (mfa.Verdict, error) {
	if l.oneLine() {
		return l.proveBehind(ctx, en, methods)
	}
	method := firstMethod(en, methods)
	for {
		if method == "" {
			var err error
			if method, err = l.choose(ctx, en, methods); err != nil {
				return l.talk.NoAnswer(ctx, "", err)
			}
		}
		q, end, err := l.question(ctx, en, method, slices.Contains(methods, mfa.Email))
		if old := l.staleNote(en, method); old != "" {
			q.Text += "\n" + old
		}
		if end != nil && end.Outcome == mfa.Exhausted && len(methods) > 1 {
			method = "" // nothing more is sent for now; the others are open
			continue
		}
		if end != nil {
			return *end, err
		}
		if len(methods) > 1 {
			q.Keys = []string{challenge.KeyMenu}
			switch method {
			case mfa.Backup:
				q.Text = l.user.Words().Join(q.Text, l.talk.Words("m shows the other methods."))
			case mfa.TOTP, mfa.HOTP:
				q.End = challenge.EndCodeMenu
			default:
				q.End = challenge.EndCodeOrMenu
			}
		}
		key, v, err := l.pose(ctx, q)
		if key == "" {
			if v.Outcome == mfa.Accepted {
				l.prefer(ctx, method)
				l.proven(ctx, en, method)
			}
			return v, err
		}
		method = ""
	}
}

// pose is Pose with a key to change the password after the login.
func (l *attempt) pose(ctx context.Context, q challenge.Question) (key string, v mfa.Verdict, err error) {
	if l.mayChangePassword() {
		q.Keys = append(q.Keys, challenge.KeyPassword)
	}
	for {
		key, v, err := l.talk.Pose(ctx, q)
		if key != challenge.KeyPassword {
			return key, v, err
		}
		l.wantsNewPassword, q.Text = true, l.user.Words().Join(l.talk.Words(textOwnWish), l.talk.Words("Type the code."))
	}
}

// choose shows the methods and returns the one chosen. The user can make it the preferred
// one; prefer stores that after the proof.
func (l *attempt) choose(ctx context.Context, en mfa.Enrollment, methods []mfa.Method) (mfa.Method, error) {
	items := make([]string, len(methods))
	for i, m := range methods {
		items[i] = l.name(m, en)
	}
	title, key := l.talk.Words("How do you want to prove that it is you?"), ""
	if l.mayChangePassword() {
		key = challenge.KeyPassword
	}
	star := l.talk.Words("Put a * behind the number to be asked for it first from now on.")
	i, starred, keyed, err := l.talk.ChooseOrKey(ctx, title, items, star, key, l.talk.Words(challenge.TextPasswordKey))
	if keyed {
		l.wantsNewPassword = true
		i, starred, err = l.talk.Choose(ctx, l.talk.Words(textOwnWish)+"\n"+title, items, star)
	}
	if err != nil {
		return "", err
	}
	l.newPreferred = ""
	if starred {
		l.newPreferred = methods[i]
	}
	return methods[i], nil
}

// prefer stores the proven method as the preferred one, if the user chose that. Before the
// proof anybody could have chosen it.
func (l *attempt) prefer(ctx context.Context, proven mfa.Method) {
	if l.newPreferred != proven || l.user.Account.IsUnknown() || l.user.IsOffline() {
		return
	}
	if err := l.engine.deps.Enroll.Prefer(ctx, l.user, proven); err != nil {
		l.engine.deps.Log.Error("preferred method not remembered", "user", l.user.Account.ID.Name, "error", err)
	}
}

// name is the text of a method in a menu.
func (l *attempt) name(m mfa.Method, en mfa.Enrollment) string {
	switch m {
	case mfa.Email:
		return l.talk.Words("Code by email to %s", deliver.Mask(en.Email.Address))
	case mfa.SMS:
		return l.talk.Words("Code by text message to %s", deliver.Mask(en.SMS.Address))
	case mfa.Call:
		return l.talk.Words("Code by phone call to %s", deliver.Mask(en.SMS.Address))
	case mfa.TOTP:
		return l.talk.Words("Code from your authenticator app")
	case mfa.HOTP:
		return l.nameOfToken(en.HOTP.Serial)
	case mfa.Backup:
		return l.talk.Words("Backup code")
	}
	return string(m)
}

// question returns the Question of a method. Apps and backup codes are read again when an
// answer comes, so a set that was replaced a moment ago does not count. If the method
// cannot be asked for it returns a verdict instead. EmailCounts says whether a code by
// email proves anything here.
func (l *attempt) question(ctx context.Context, en mfa.Enrollment, m mfa.Method, emailCounts bool) (challenge.Question, *mfa.Verdict, error) {
	switch m {
	case mfa.Email, mfa.SMS, mfa.Call:
		return l.talk.SentCode(ctx, l.target(en, m, emailCounts), "")
	case mfa.TOTP:
		return challenge.Question{Code: l.talk.AppCode("", l.app), Text: l.talk.Words("Type the code that your authenticator app shows.")}, nil, nil
	case mfa.HOTP:
		return challenge.Question{Code: l.talk.TokenCode(l.token), Text: l.talk.Words(textToken)}, nil, nil
	case mfa.Backup:
		told, err := l.backupText(ctx, *en.Backup)
		if err != nil {
			v, err := l.talk.Failed(ctx, err)
			return challenge.Question{}, &v, err
		}
		return challenge.Question{Code: l.talk.BackupCode(l.backup), Text: told}, nil, nil
	}
	v, err := l.talk.Failed(ctx, fmt.Errorf("no method %q", m))
	return challenge.Question{}, &v, err
}

// app returns the user's app as it is set up now, or account.ErrChanged if there is none.
func (l *inquiry) app(ctx context.Context) (mfa.TOTPSecret, error) {
	now, err := l.enrollment(ctx)
	if err != nil || now.TOTP == nil {
		return mfa.TOTPSecret{}, cmp.Or(err, account.ErrChanged)
	}
	return *now.TOTP, nil
}

// backup returns the user's set of backup codes as it is now, or account.ErrChanged if
// there is none.
func (l *inquiry) backup(ctx context.Context) (mfa.BackupSet, error) {
	now, err := l.enrollment(ctx)
	if err != nil || now.Backup == nil {
		return mfa.BackupSet{}, cmp.Or(err, account.ErrChanged)
	}
	return *now.Backup, nil
}

// target is where a code of the method m goes: email, or a text message or a call, in
// whose place email is. A carrier that fails is nobody's choice, so then any address will
// do that is the user's for sure. A limit of ours can be used up on purpose, so then
// it is email only where email would have done in the first place.
func (l *inquiry) target(en mfa.Enrollment, m mfa.Method, emailCounts bool) challenge.Target {
	to := challenge.Target{Method: m, To: en.Contact(m).Address}
	if !m.Rings() || !l.engine.cfg.FallbackToEmail || en.Email == nil {
		return to
	}
	if emailCounts {
		to.Fallback, to.AtLimit = en.Email.Address, en.Email.Address
	} else if l.vouched(*en.Email) {
		to.Fallback = en.Email.Address
	}
	return to
}

// noneSent reports whether methods are not empty and none of them can be proven, as nobody
// carries text messages or calls, and no email goes in their place.
func (l *inquiry) noneSent(en mfa.Enrollment, methods []mfa.Method) bool {
	can := func(m mfa.Method) bool {
		return !m.Rings() || l.engine.cfg.TextMessages || l.targetOf(en, m, methods).Fallback != ""
	}
	return len(methods) > 0 && !slices.ContainsFunc(methods, can)
}

// vouched reports whether an address is surely the user's: a code that was sent
// there was typed back, or an administrator entered it.
func (l *inquiry) vouched(a mfa.Address) bool {
	return !a.Confirmed.IsZero() || a.AddedBy != l.user.Account.ID.Name
}

// proven does what follows a right code, none of which can undo the login.
func (l *attempt) proven(ctx context.Context, en mfa.Enrollment, m mfa.Method) {
	ctx = context.WithoutCancel(ctx)
	if l.wantsNewPassword {
		if err := l.user.ForgetEarlier(ctx); err != nil {
			l.engine.deps.Log.Error("what earlier logins left is not revoked", "user", l.user.Account.ID.Name, "error", err)
		}
	}
	switch m {
	case mfa.Email, mfa.SMS, mfa.Call:
		l.confirm(ctx, en, l.talk.Arrived())
	case mfa.TOTP:
		l.confirmApp(ctx, en)
	case mfa.HOTP:
		l.confirmToken(ctx, en)
	case mfa.Backup:
		l.backupUsed(ctx, en)
	}
}

// backupText is the text above the prompt for a backup code. It says how many are left
// after it: ssh would show a message after the last prompt twice.
func (l *inquiry) backupText(ctx context.Context, set mfa.BackupSet) (string, error) {
	st, err := l.user.Account.State(ctx)
	if err != nil {
		return "", err
	}
	left, w := factor.BackupLeft(st, set, l.engine.deps.Now())-1, l.user.Words()
	told := w.Count(left, "Type one of your backup codes. After it, 1 backup code is left.", "Type one of your backup codes. After it, %d backup codes are left.")
	switch {
	case left < 0:
		return w.Say("All your backup codes are used."), nil
	case left == 0:
		told = w.Say("Type your last backup code.")
	}
	if left <= fewBackupCodes {
		told = w.Join(told, w.Say("mfactl backup-codes makes new ones."))
	}
	return told, nil
}

// backupUsed mails the user when few codes are left.
func (l *inquiry) backupUsed(ctx context.Context, en mfa.Enrollment) {
	st, err := l.user.Account.State(ctx)
	if err != nil || en.Backup == nil {
		return
	}
	if left := factor.BackupLeft(st, *en.Backup, l.engine.deps.Now()); left <= fewBackupCodes {
		l.user.Notify(en, account.Notice{
			Subject: text.Of("Few backup codes"),
			What:    text.Both(text.Of("A backup code was used to log in."), text.Counted(left, "1 backup code is left.", "%d backup codes are left.")),
			Advice:  text.Of("Make new ones with: mfactl backup-codes\nIf this was not you, tell your administrator at once."),
		})
	}
}

// confirm notes that the address at, which a code was typed back from, is confirmed.
func (l *inquiry) confirm(ctx context.Context, en mfa.Enrollment, at challenge.Target) {
	if a := en.Contact(at.Method); a != nil && a.Confirmed.IsZero() {
		l.noteConfirmed(ctx, at.Method, at.To)
	}
}

// confirmApp notes that the user has the app that an administrator set up.
func (l *inquiry) confirmApp(ctx context.Context, en mfa.Enrollment) {
	if en.TOTP != nil && en.TOTP.Confirmed.IsZero() {
		l.noteConfirmed(ctx, mfa.TOTP, en.TOTP.Secret)
	}
}

func (l *inquiry) noteConfirmed(ctx context.Context, m mfa.Method, of string) {
	if l.user.Account.IsUnknown() || l.user.IsOffline() {
		return
	}
	if err := l.engine.deps.Enroll.Confirm(ctx, l.user, m, of); err != nil {
		l.engine.deps.Log.Error("confirmation not written", "user", l.user.Account.ID.Name, "error", err)
	}
}

const textNotEnrolled = "No second factor is set up for this account, and one is required. Ask your administrator to enroll you."
