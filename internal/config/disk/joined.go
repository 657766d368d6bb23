package disk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"mfa/internal/config"
	"mfa/internal/host/file"
	"mfa/internal/store"
	"mfa/internal/store/local"
)

// joinedFile says in the folder of the store that this host is in a fleet. Without it a host
// could not tell an etcd that lost its data, or a prefix with a slip in it, from a fleet that
// begins now: and there everybody would set up a second factor with the password alone.
const joinedFile = "fleet"

// joined is what stands in joinedFile.
type joined struct {
	Prefix string    `json:"prefix"` // of the fleet
	Since  time.Time `json:"since"`
}

var errJoined = errors.New("this host is in a fleet")

func joinedPath(cfg config.Config) string { return filepath.Join(cfg.Store.Path, joinedFile) }

// readJoined returns which fleet this host is in, nil if it was in none yet.
func readJoined(cfg config.Config) (*joined, error) {
	data, err := os.ReadFile(joinedPath(cfg))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) { // opening the store says what is wrong
		return nil, nil
	}
	var j joined
	if err == nil {
		err = json.Unmarshal(data, &j)
	}
	if err != nil {
		return nil, fmt.Errorf("read which fleet this host is in: %q: %w", joinedPath(cfg), err)
	}
	return &j, nil
}

// NoteJoined notes, durably, that this host is in the fleet of cfg since now, if it is in none
// yet.
func NoteJoined(cfg config.Config, now time.Time) error {
	was, err := readJoined(cfg)
	if err != nil || was != nil {
		return err
	}
	data, err := json.Marshal(joined{cfg.Store.Etcd.Prefix, now.UTC().Truncate(time.Second)})
	if err == nil {
		err = os.MkdirAll(cfg.Store.Path, 0o700)
	}
	if err == nil {
		err = file.Place{}.Replace(joinedPath(cfg), append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("note which fleet this host is in: %w", err)
	}
	return nil
}

// ForgetJoined removes what NoteJoined wrote: this host is in no fleet. It is no error if
// there is nothing, also on a disk that takes no writes.
func ForgetJoined(cfg config.Config) error {
	if _, err := os.Lstat(joinedPath(cfg)); errors.Is(err, fs.ErrNotExist) {
		return nil // os.Remove would say that the disk is read-only
	}
	if err := os.Remove(joinedPath(cfg)); err != nil {
		return fmt.Errorf("note that this host is in no fleet: %w", err)
	}
	return nil
}

// MayBegin returns why this host must not begin a new fleet where it found none: it is in
// one.
func MayBegin(cfg config.Config) error {
	was, err := readJoined(cfg)
	if err != nil || was == nil {
		return err
	}
	return fmt.Errorf("%w under %q since %s, and in etcd there is none under %q: bring back etcd's data, or mend store.etcd.endpoints and store.etcd.prefix; "+
		"in a new fleet nobody is enrolled, and whoever has a password could set up a second factor. If that is meant, remove %s and start again",
		errJoined, was.Prefix, was.Since.Format(time.DateOnly), cfg.Store.Etcd.Prefix, joinedPath(cfg))
}

// MayGoAlone returns why this host must not decide by a store of its own: it is in a fleet, and
// neither did mfactl migrate bring its records back nor has mfad --new-state begun them anew.
func MayGoAlone(cfg config.Config) error {
	was, err := readJoined(cfg)
	if err != nil || was == nil {
		return err
	}
	mark, err := local.Moved(cfg.Store.Path)
	if err != nil {
		return err
	}
	anew, err := local.BeginsAnew(cfg.Store.Path)
	comes := mark != nil && (mark.To == store.BackendLocal || mark.Problem() != nil) // they are brought back, or the mark keeps the store shut
	if err != nil || anew || comes {
		return err
	}
	return fmt.Errorf("%w under %q since %s, and store.backend is %q: on this host alone its users are not enrolled, and whoever has a password could set up a second factor. "+
		"Set store.backend = \"etcd\" and [store.etcd] again; mfactl migrate --to local brings the users here first. If they are not needed here, remove %s and start again",
		errJoined, was.Prefix, was.Since.Format(time.DateOnly), cfg.Store.Backend, joinedPath(cfg))
}

// MayJoin returns why this host must not join the fleet in s: it is in another one, or people
// are enrolled on this host alone, who would not be enrolled there. A host that is in the
// fleet, or that mfactl migrate brings there, may.
func MayJoin(ctx context.Context, cfg config.Config, s store.Store) error {
	was, err := readJoined(cfg)
	switch {
	case err != nil:
		return err
	case was != nil && was.Prefix != cfg.Store.Etcd.Prefix:
		return fmt.Errorf("%w under %q since %s, and store.etcd.prefix is %q now: whoever is not enrolled there could set up a second factor with the password alone. "+
			"Mend store.etcd.prefix; if another fleet is meant, remove %s and start again",
			errJoined, was.Prefix, was.Since.Format(time.DateOnly), cfg.Store.Etcd.Prefix, joinedPath(cfg))
	case was != nil:
		return nil
	}
	if mark, err := local.Moved(cfg.Store.Path); err != nil || mark != nil {
		return err
	}
	here, err := local.Users(cfg.Store.Path)
	if err != nil || len(here) == 0 {
		return err
	}
	there, err := s.Keys(ctx, store.Users)
	if err != nil {
		return err
	}
	missing := slices.DeleteFunc(here, func(user string) bool {
		_, has := slices.BinarySearch(there, store.Users+user)
		return has
	})
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("on this host people are enrolled who are not in etcd (%s; in %q): there whoever has their password could set up a second factor. "+
		"Set store.backend = \"local\" again, start mfad, and run mfactl migrate --to etcd; if nobody needs them, move %q aside",
		some(missing), filepath.Join(cfg.Store.Path, "users"), filepath.Join(cfg.Store.Path, "users"))
}

// some names a few of many users.
func some(users []string) string {
	const few = 3
	text := strings.Join(users[:min(few, len(users))], ", ")
	if more := len(users) - few; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
