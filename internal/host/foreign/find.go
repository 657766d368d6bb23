package foreign

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
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
		f.Err = fmt.Errorf("whose it is: %w", err)
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
