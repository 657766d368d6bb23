package doctor

import (
	"context"
	"fmt"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// directory has the daemon ask the directory that says where codes go, and tells how old
// what is remembered of it is.
func (e *exam) directory(ctx context.Context) {
	if e.status == nil || e.Directory == nil || e.cfg.Contacts.Source == "" {
		return
	}
	where := "directory (" + e.cfg.Contacts.Source + ")"
	d, err := e.Directory(ctx)
	if err != nil {
		e.add(Finding{Error, "directory", where, "mfad does not say how it is: " + err.Error(), "", "journalctl -u mfad"})
		return
	}
	kept, text := e.remembered(ctx)
	switch {
	case d.Source != e.cfg.Contacts.Source:
		e.add(Finding{Warning, "directory", where, "is not what mfad runs with", "mfa.toml changed since it was read.", "mfactl reload"})
	case d.Problem != "" && d.Confirmed:
		e.add(Finding{
			Error, "directory", where, d.Problem + "; " + text,
			"Users whose address is remembered get codes there for " + e.cfg.Contacts.Keep.String() + " (contacts.keep); others who have nothing else are refused.",
			"mend [contacts], then: mfactl reload; mfactl doctor",
		})
	case d.Problem != "":
		e.add(Finding{Warning, "directory", where, d.Problem + "; " + text, "Its addresses are not offered to users who enroll.", "mend [contacts], then: mfactl reload; mfactl doctor"})
	default:
		e.ok("directory", where, "answers; "+text)
	}
	e.listed = kept
}

// remembered returns to whom codes go by what the directory said, and says how many there
// are of whom something is remembered.
func (e *exam) remembered(ctx context.Context) (kept map[string]bool, text string) {
	kept = map[string]bool{}
	n, oldest := 0, time.Time{}
	if e.Users == nil {
		return kept, "what is remembered of it is not known"
	}
	err := e.Users(ctx, func(v wire.User) {
		for i, c := range v.Directory {
			kept[v.User] = kept[v.User] || c.Counts
			if i == 0 {
				n++
			}
			if oldest.IsZero() || c.At.Before(oldest) {
				oldest = c.At
			}
		}
	})
	switch {
	case err != nil:
		return kept, "what is remembered of it is not known: " + err.Error()
	case n == 0:
		return kept, "nothing is remembered of it yet"
	}
	return kept, fmt.Sprintf("of %d users it is remembered what it said, for the longest from %s ago", n, mfa.Span(max(0, time.Since(oldest))))
}
