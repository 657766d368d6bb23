package login

import (
	"cmp"
	"context"

	"mfa/internal/account"
	"mfa/internal/mfa"
)

const textToken = "Press the button of your token and type the code that it shows."

// nameOfToken is how a token is called in a menu: by the end of the number on it.
func (l *attempt) nameOfToken(serial string) string {
	const shown = 4
	if len(serial) > shown {
		return l.talk.Words("Code from your token, number ...%s", serial[len(serial)-shown:])
	}
	return l.talk.Words("Code from your token")
}

// token is the user's token as it is set up now.
func (l *inquiry) token(ctx context.Context) (mfa.HOTPSecret, error) {
	now, err := l.enrollment(ctx)
	if err != nil || now.HOTP == nil {
		return mfa.HOTPSecret{}, cmp.Or(err, account.ErrChanged)
	}
	return *now.HOTP, nil
}

// confirmToken notes that the user has the token which an administrator set up.
func (l *inquiry) confirmToken(ctx context.Context, en mfa.Enrollment) {
	if en.HOTP != nil && en.HOTP.Confirmed.IsZero() {
		l.noteConfirmed(ctx, mfa.HOTP, en.HOTP.Secret)
	}
}

// decoyToken is decoy where tokens are what people have.
func (l *inquiry) decoyToken() mfa.Enrollment {
	id, deps := l.user.Account.ID, l.engine.deps
	return mfa.Enrollment{HOTP: &mfa.HOTPSecret{
		Secret: deps.Accounts.SealHOTP(id, deps.Key.MAC("decoy secret", []byte(id.Name))), Algorithm: "SHA1", Digits: 6,
	}}
}
