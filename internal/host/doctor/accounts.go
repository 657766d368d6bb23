package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"mfa/internal/host/nss"
	"mfa/internal/mfa"
)

// accounts looks at names and uids: accounts of one uid, records that stand under
// another name than the account's, and a directory that does not answer.
func (e *exam) accounts(ctx context.Context) {
	byUID := map[uint32][]string{} // names of /etc/passwd, the canonical one first
	eachLine(e.FS, "etc/passwd", func(fields []string) {
		if len(fields) < 3 {
			return
		}
		if uid, err := strconv.ParseUint(fields[2], 10, 32); err == nil {
			byUID[uint32(uid)] = append(byUID[uint32(uid)], fields[0])
		}
	})
	for _, uid := range slices.Sorted(maps.Keys(byUID)) {
		if names := byUID[uid]; len(names) > 1 {
			e.ok("uid-shared", "/etc/passwd", fmt.Sprintf("%s are uid %d: for mfad they are one account, %s",
				strings.Join(names, " and "), uid, names[0]))
		}
	}
	lookup := func(_ context.Context, uid uint32) (mfa.Identity, error) {
		if names := byUID[uid]; len(names) > 0 {
			return mfa.Identity{Name: names[0], UID: uid}, nil
		}
		return mfa.Identity{}, nss.ErrNoAccount
	}
	if e.Account != nil {
		lookup = e.Account
	}
	e.aliases(ctx, lookup)
}

// aliases names the records that stand under another name than their account's.
func (e *exam) aliases(ctx context.Context, lookup func(context.Context, uint32) (mfa.Identity, error)) {
	n := 0
	for _, name := range slices.Sorted(maps.Keys(e.people)) {
		uid := e.people[name].UID
		id, err := lookup(ctx, uid)
		switch {
		case errors.Is(err, nss.ErrNoAccount), err == nil && id.Name == name:
		case errors.Is(err, nss.ErrContradiction):
			e.add(Finding{
				Error, "uid-contradiction", name, err.Error(), "Whose record it is cannot be told, so mfad refuses the login.",
				"give each uid one name that has no other uid",
			})
		case err != nil:
			e.add(Finding{
				Error, "nss", "nsswitch.conf", err.Error(),
				"Accounts and groups that a directory alone knows are refused until it answers.",
				"start what answers for it, or take it out of /etc/nsswitch.conf",
			})
			return
		default:
			if n++; n <= shown {
				e.add(Finding{
					Warning, "record-alias", name, fmt.Sprintf("is another name of %s, uid %d", id.Name, uid),
					"The record under that name does not count; without one of its own, " + id.Name + " cannot log in.",
					"mfactl reset " + id.Name + ", and enroll the user anew",
				})
			}
		}
	}
	if n > shown {
		e.add(Finding{Warning, "record-alias", "users", fmt.Sprintf("%d more like these", n-shown), "", "mfactl users"})
	}
}
