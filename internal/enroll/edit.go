package enroll

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"mfa/internal/account"
	"mfa/internal/account/record"
	"mfa/internal/audit"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/text"
)

// ErrMeanwhile means that an enrollment is not any more what an administrator began to
// edit. Nothing was written.
var ErrMeanwhile = errors.New("the enrollment changed meanwhile")

// Text returns the enrollment under the name of id as TOML, also one that does not parse.
// Without a record it wraps ErrNotEnrolled.
func (s *Service) Text(ctx context.Context, id mfa.Identity) (string, error) {
	text, err := s.Accounts.Records().EnrollmentText(ctx, id.Name)
	if errors.Is(err, store.ErrNotFound) {
		return "", fmt.Errorf("user %q: %w", id.Name, ErrNotEnrolled)
	}
	return string(text), err
}

// Edit replaces the enrollment of id, which was the text before, by the text after, both
// TOML. An error about the text after wraps ErrInvalid and names the line, and one that
// wraps ErrMeanwhile says that the enrollment is not the text before any more; nothing is
// written then. If the record that is there does not parse, it is replaced whatever the
// text before. Comments are not kept. It returns whether anything changed. Actor is the
// administrator, for the audit file.
func (s *Service) Edit(ctx context.Context, id mfa.Identity, before, after, actor string) (changed bool, err error) {
	en, err := record.DecodeEnrollment(id.Name+".toml", []byte(after))
	if err != nil {
		return false, invalidf(err.Error())
	}
	if en.UID != id.UID {
		return false, invalidf(fmt.Sprintf("uid = %d is not the uid of %s, which is %d.", en.UID, id.Name, id.UID))
	}
	if err := s.checkSealed(id, en); err != nil {
		return false, invalidf(err.Error())
	}
	was, err := record.DecodeEnrollment(id.Name+".toml", []byte(before))
	if err != nil {
		was = mfa.Enrollment{} // as Replace has it
	}
	if reflect.DeepEqual(was, en) {
		return false, nil
	}
	was = account.Of(was, id)
	_, _, err = s.Accounts.ByAdministrator(id).Change(ctx, account.Change{
		Replace: true,
		Edit: func(live *mfa.Enrollment) error {
			if !reflect.DeepEqual(*live, was) {
				return fmt.Errorf("edit %q: %w", id.Name, ErrMeanwhile)
			}
			*live = en
			return nil
		},
		Event: mfa.Event{Event: audit.Enrolled, Actor: actor, Reason: "the record was edited: " + editedParts(was, en)},
		Notice: account.Notice{
			Subject: text.Of(subjectChanged), What: text.Of("The record of your second factor was edited by an administrator."), Advice: text.Of(adviceAsk),
		},
	})
	return err == nil, err
}

// checkSealed returns an error if a secret of en cannot be opened as one of id's: it is
// sealed for another user, or under another key, and no code of it would count.
func (s *Service) checkSealed(id mfa.Identity, en mfa.Enrollment) error {
	if en.TOTP != nil {
		if _, err := s.Accounts.OpenTOTP(id, en.TOTP.Secret); err != nil {
			return fmt.Errorf("totp.secret: %w", err)
		}
	}
	if en.HOTP != nil {
		if _, err := s.Accounts.OpenHOTP(id, en.HOTP.Secret); err != nil {
			return fmt.Errorf("hotp.secret: %w", err)
		}
	}
	return nil
}

// editedParts names the parts of an enrollment that differ, without what they hold.
func editedParts(was, is mfa.Enrollment) string {
	a, b := reflect.ValueOf(was), reflect.ValueOf(is)
	var parts []string
	for i := range a.NumField() {
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			name, _, _ := strings.Cut(a.Type().Field(i).Tag.Get("toml"), ",")
			parts = append(parts, name)
		}
	}
	return strings.Join(parts, ", ")
}
