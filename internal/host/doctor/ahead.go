package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mfa/internal/wire"
)

// ahead: records with times in the future. The daemon bounds them, but the clock was wrong
// then or is wrong now.
func (e *exam) ahead(ctx context.Context) {
	if e.status == nil || e.Users == nil {
		return
	}
	var names []string
	what, n := map[string]bool{}, 0
	err := e.Users(ctx, func(v wire.User) {
		if len(v.Ahead) == 0 {
			return
		}
		if n++; n <= shown {
			names = append(names, v.User)
		}
		for _, w := range v.Ahead {
			what[w] = true
		}
	})
	if err != nil {
		e.add(Finding{Error, "state", "mfad", "does not say what it remembers: " + err.Error(), "", "journalctl -u mfad"})
		return
	}
	if n == 0 {
		return
	}
	text := strings.Join(names, ", ")
	mend := "timedatectl; when the time is right: mfactl unlock " + names[0]
	if n > 1 {
		mend = "timedatectl; when the time is right: mfactl unlock --ahead"
	}
	if n > shown {
		text += fmt.Sprintf(" and %d more", n-shown)
	}
	var words []string
	for w := range what {
		words = append(words, w)
	}
	slices.Sort(words)
	e.add(Finding{
		Warning, "state-future", "what mfad remembers", "is partly of a time that has not come (" + strings.Join(words, ", ") + "), of " + text,
		"The clock of this machine was wrong then, or is now. Codes of an app are refused meanwhile, unless a time service vouches for the clock.",
		mend,
	})
}
