package enroll

import (
	"context"
	"strings"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/mfa"
	"mfa/internal/text"
	"mfa/internal/wire"
)

// SetLanguage has the user's prompts and messages in the language of a tag; in that of
// prompt.language, if it is wire.DefaultLanguage. It is no change of a factor: remembered
// logins stay, and conversations go on. Actor is who did it. The error wraps ErrInvalid for
// a language without a catalog, and ErrNotEnrolled for who has no second factor.
func (s *Service) SetLanguage(ctx context.Context, u *account.User, tag, actor string) error {
	if err := CheckLanguage(tag); err != nil {
		return err
	}
	if tag == wire.DefaultLanguage {
		tag = ""
	}
	known, err := s.knowing(ctx, u)
	if err != nil {
		return err
	}
	_, _, err = u.Change(ctx, account.Change{
		Edit: func(en *mfa.Enrollment) error {
			_, err := known(en)
			en.Language = tag
			return err
		},
		Minor: true,
		Event: mfa.Event{Event: audit.Enrolled, Actor: actor, Reason: "language " + reasonOf(tag)},
	})
	return err
}

// CheckLanguage returns why SetLanguage takes no such tag, whoever it is for: an ErrInvalid.
func CheckLanguage(tag string) error {
	if tag == wire.DefaultLanguage || tag != "" && text.Speaks(tag) {
		return nil
	}
	return invalidf("There are no prompts in that language, but in these: %s.", strings.Join(append([]string{"en"}, text.Languages()...), ", "))
}

// reasonOf names a language in the audit file.
func reasonOf(tag string) string {
	if tag == "" {
		return "of prompt.language"
	}
	return tag
}
