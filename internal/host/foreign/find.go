package foreign

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"time"

	"mfa/internal/host/file"
	"mfa/internal/host/nss"
	"mfa/internal/mfa"
)

// OathFile is where pam_oath(8) suggests to keep the file of oath-toolkit.
const OathFile = "/etc/oath/users.oath"

// A Found is what one file, or one line of it, says of one user.
type Found struct {
	User string // empty: nobody knows whose it is
	UID  uint32
	From string
	App  App
	Err  error // why it cannot be taken over
}

// GoogleFile is what google-authenticator(1) writes.
const GoogleFile = ".google_authenticator"

// FindGoogle reads the files of google-authenticator that are named, or those in the
// homes of all accounts that NSS lists.
func FindGoogle(ctx context.Context, files []string) ([]Found, error) {
	var all []Found
	for _, path := range files {
		all = append(all, namedGoogle(ctx, path))
	}
	if len(files) > 0 {
		return all, nil
	}
	accounts, err := nss.People(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range accounts {
		home, err := filepath.EvalSymlinks(p.Home) // up to the home the way is root's
		if err != nil {
			continue // no home
		}
		f := Found{User: p.Name, UID: p.UID, From: filepath.Join(home, GoogleFile)}
		secret, err := file.ReadPrivate(f.From, func(uid uint32) bool { return uid == p.UID || uid == 0 })
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		all = append(all, f.parsed(secret, err))
	}
	return all, nil
}

// namedGoogle reads one file, and finds out whose it is.
func namedGoogle(ctx context.Context, path string) Found {
	f := Found{From: path}
	secret, err := file.ReadPrivate(path, func(uint32) bool { return true })
	if err != nil {
		return f.parsed(secret, err)
	}
	id, err := nss.LookupUID(ctx, secret.Owner)
	if secret.Owner == 0 && filepath.Base(path) != GoogleFile {
		id, err = nss.Lookup(ctx, filepath.Base(path))
	}
	if err != nil {
		f.Err = fmt.Errorf("find its owner: %w", err)
		return f
	}
	f.User, f.UID = id.Name, id.UID
	return f.parsed(secret, err)
}

// parsed is f with what the file says.
func (f Found) parsed(secret file.Private, err error) Found {
	if f.Err = err; err == nil {
		f.App, f.Err = GoogleAuthenticator(secret.Text)
	}
	return f
}

// maxList bounds a list of tokens, in bytes.
const maxList = 64 << 20

// A TokenList is what a file of tokens says.
type TokenList struct {
	Found  []Found
	PSKC   bool // else it is lines with commas
	Signed bool // PSKC, with a signature, at which nobody has looked
}

// FindTokens reads a list of tokens, PSKC or TokenCSV, which must be root's or the
// caller's. Shared is the key under which it is encrypted, or nil. Owners says whose a token
// of that serial number is, whatever the list says. A user has one token: of several the
// first.
func FindTokens(ctx context.Context, path string, shared []byte, owners map[string]string) (list TokenList, err error) {
	secret, err := file.ReadPrivateUpTo(maxList, path, file.RootOrMe)
	if err != nil {
		return list, err
	}
	var tokens []Token
	if list.PSKC = strings.HasPrefix(strings.TrimSpace(strings.TrimPrefix(secret.Text, "\ufeff")), "<"); list.PSKC {
		tokens, list.Signed, err = PSKC([]byte(secret.Text), shared, time.Now())
	} else {
		tokens, err = TokenCSV(secret.Text)
	}
	if err != nil {
		return list, fmt.Errorf("%s: %w", path, err)
	}
	if err := allListed(tokens, owners); err != nil {
		return list, err
	}
	taken := map[string]string{}
	for _, t := range tokens {
		f := Found{User: cmp.Or(owners[t.App.Serial], t.User), From: t.Place, App: t.App, Err: t.Err}
		if t.App.Serial != "" {
			f.From += ", number " + t.App.Serial
		}
		f.assign(ctx, taken)
		list.Found = append(list.Found, f)
	}
	return list, nil
}

// allListed returns an error if a token is somebody's that is not in the list.
func allListed(tokens []Token, owners map[string]string) error {
	listed := map[string]bool{}
	for _, t := range tokens {
		listed[t.App.Serial] = true
	}
	for serial, user := range owners {
		if !listed[serial] {
			return fmt.Errorf("no token of the number %q is in the list, which is said to be that of %q", serial, user)
		}
	}
	return nil
}

// assign finds out who has the token. Taken holds what other users have.
func (f *Found) assign(ctx context.Context, taken map[string]string) {
	kind := f.User + map[bool]string{true: " counts"}[f.App.Counts()]
	switch {
	case f.Err != nil:
		return
	case f.User == "" && f.App.Counts() && f.App.Serial != "":
		return // it waits for its user
	case f.User == "":
		f.Err = errors.New("nobody knows whose it is: say so with --user NUMBER=USER, or --users FILE")
		return
	case taken[kind] != "":
		f.Err = fmt.Errorf("another token of this user, beside %s: one can be kept", taken[kind])
		return
	}
	id, err := nss.Lookup(ctx, f.User)
	if err != nil {
		f.Err = err
		return
	}
	f.UID, taken[kind] = id.UID, f.From
}

// FindOath reads a users.oath of oath-toolkit. It must be root's or the caller's.
func FindOath(ctx context.Context, path string) ([]Found, error) {
	secret, err := file.ReadPrivateUpTo(math.MaxInt64-1, path, file.RootOrMe) // every user is in it
	if err != nil {
		return nil, err
	}
	var all []Found
	for _, l := range Oath(secret.Text, time.Local) {
		f := Found{User: l.User, From: fmt.Sprintf("%s:%d", path, l.Line), App: l.App, Err: l.Err}
		if f.Err == nil {
			var id mfa.Identity
			id, f.Err = nss.Lookup(ctx, l.User)
			f.UID = id.UID
		}
		all = append(all, f)
	}
	return all, nil
}
