package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"mfa/internal/wire"

	"filippo.io/age"
	"github.com/spf13/cobra"
)

func restoreCommand(c *client) *cobra.Command {
	var l lock
	var yes bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put enrollments back from a backup",
		Long: "Put enrollments back from a file of 'mfactl backup', after showing what would\n" +
			"happen. Only root may. Users who are not in the backup stay as they are.\n\n" +
			"Nothing becomes good again: codes that were used stay used, failures count,\n" +
			"locks hold, and backup codes that were replaced, given up or reset since stay\n" +
			"void: their users are named, and make new ones. A file that was cut short or\n" +
			"changed is refused before anything is written.",
		Example: "  mfactl restore /root/mfa.age\n  mfactl restore /backup/mfa.age --identity /root/key.txt --yes",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := openBackup(cmd, args[0], l)
			if err != nil {
				return failed(err)
			}
			if !yes {
				if err := c.tryRestore(cmd, b); err != nil {
					return err
				}
				if !confirm(cmd, "Restore? [y/N] ") {
					return errNotConfirmed
				}
			}
			defer b.sayAfter(cmd)
			return (&bulk{what: "restoring users", done: "restored"}).run(cmd, b.names(), func(ctx context.Context, user string) error {
				result, err := c.restore(ctx, b, user, false)
				if err == nil && (result == wire.RestoredOutdated || result == wire.RestoredUnchanged) {
					return errSkip
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().StringVar(&l.passphraseFile, "passphrase-file", "", "take the passphrase from the first line of this `FILE`")
	cmd.Flags().StringVar(&l.identityFile, "identity", "", "open it with the secret key in this `FILE` of age-keygen(1)")
	cmd.MarkFlagsMutuallyExclusive("passphrase-file", "identity")
	return cmd
}

// An openedBackup is a backup that was read whole.
type openedBackup struct {
	header wire.BackupHeader
	users  []wire.Saved
	index  map[string]int // of users, by name

	withoutAccount []string // users without an account here, of those tried so far
	void           []string // users whose backup codes do not count, of those restored so far
}

// sayAfter prints what is left to do after a restore.
func (b *openedBackup) sayAfter(cmd *cobra.Command) {
	b.sayWithoutAccount(cmd)
	slices.Sort(b.void)
	if names := slices.Compact(b.void); len(names) > 0 {
		printf(cmd.OutOrStdout(), "%6d  have backup codes that are void, and should make new ones with 'mfactl backup-codes': %s\n", len(names), strings.Join(names, ", "))
	}
}

// sayWithoutAccount prints the users of the backup who have no account here.
func (b *openedBackup) sayWithoutAccount(cmd *cobra.Command) {
	slices.Sort(b.withoutAccount)
	if names := slices.Compact(b.withoutAccount); len(names) > 0 {
		printf(cmd.OutOrStdout(), "%6d  have no account here, and their records wait for one: %s\n", len(names), strings.Join(names, ", "))
	}
	b.withoutAccount = nil
}

func (b *openedBackup) names() []string {
	names := make([]string, len(b.users))
	for i, u := range b.users {
		names[i] = u.User
	}
	return names
}

// openBackup decrypts and reads all of a backup, so that one that is cut off is
// noticed before a user of it is restored.
func openBackup(cmd *cobra.Command, path string, l lock) (*openedBackup, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, exitError{code: exitOf(err), err: err}
	}
	defer f.Close()
	ids, err := l.opens(cmd)
	if err != nil {
		return nil, err
	}
	plain, err := age.Decrypt(f, ids...)
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return nil, fmt.Errorf("open %q: the passphrase or key is not the one of this backup", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", path, err)
	}
	b, err := readBackup(plain)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", path, err)
	}
	return b, nil
}

// readBackup reads a whole backup. It is an error if the last line is missing, or if
// anything follows it.
func readBackup(r io.Reader) (*openedBackup, error) {
	dec := json.NewDecoder(bufio.NewReader(r))
	dec.DisallowUnknownFields()
	b := &openedBackup{index: map[string]int{}}
	if err := dec.Decode(&b.header); err != nil {
		return nil, fmt.Errorf("the first line: %w", err)
	}
	if err := b.header.Check(); err != nil {
		return nil, err
	}
	for {
		var line struct {
			wire.Saved
			backupEnd
		}
		if err := dec.Decode(&line); err != nil {
			return nil, fmt.Errorf("it is not whole, after %s: %w", counted(len(b.users), "user"), err)
		}
		if line.End {
			if _, err := dec.Token(); !errors.Is(err, io.EOF) || line.Users != len(b.users) {
				return nil, fmt.Errorf("it is not whole: %s of %d", counted(len(b.users), "user"), line.Users)
			}
			return b, nil
		}
		if _, twice := b.index[line.User]; twice || line.User == "" {
			return nil, fmt.Errorf("user %q is in it twice", line.User)
		}
		b.index[line.User] = len(b.users)
		b.users = append(b.users, line.Saved)
	}
}

// restore asks mfad to restore one user, or with dry what it would do. It returns
// the result of wire.Restored.
func (c *client) restore(ctx context.Context, b *openedBackup, user string, dry bool) (string, error) {
	in := wire.Restore{Header: b.header, Saved: b.users[b.index[user]], DryRun: dry}
	var out wire.Restored
	err := c.call(ctx, wire.PostRestore.For(), in, &out)
	if err == nil && out.NoAccount {
		b.withoutAccount = append(b.withoutAccount, user)
	}
	if err == nil && out.BackupVoid {
		b.void = append(b.void, user)
	}
	return out.Result, err
}

// tryRestore prints what a restore would do.
func (c *client) tryRestore(cmd *cobra.Command, b *openedBackup) error {
	results := map[string]int{}
	m := newMeter(cmd, "comparing users", len(b.users))
	defer m.end()
	var problems []string
	for _, u := range b.users {
		result, err := c.restore(cmd.Context(), b, u.User, true)
		if exit, ok := errors.AsType[exitError](err); ok && exit.status == 0 {
			return err // no answer, and none to the others either
		} else if ok && exit.code == exitNotAllowed {
			return err
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("  %s: %v", u.User, err))
		}
		results[result]++
		m.step()
	}
	m.end()
	out := cmd.OutOrStdout()
	printf(out, "A backup of %s, made %s, with %s:\n", b.header.Host, b.header.Made.Local().Format(time.DateTime), counted(len(b.users), "user"))
	for _, row := range [...]struct{ result, text string }{
		{wire.RestoredNew, "would be set up: not enrolled now"},
		{wire.RestoredReplaced, "would be put back to what they were"},
		{wire.RestoredUnchanged, "are as they were"},
		{wire.RestoredOutdated, "had to enroll anew even then, and stay as they are"},
		{"", "cannot be restored:"},
	} {
		if n := results[row.result]; n > 0 {
			printf(out, "%6d  %s\n", n, row.text)
		}
	}
	for _, p := range problems {
		printf(out, "%s\n", p)
	}
	b.sayWithoutAccount(cmd)
	return nil
}
