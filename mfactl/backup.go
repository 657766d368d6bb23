package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"mfa/internal/host/file"
	"mfa/internal/wire"
)

func backupCommand(c *client) *cobra.Command {
	var l lock
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Save all enrollments and states into one encrypted file",
		Long: "Save all enrollments, what logins remember, and the key of the secrets into one\n" +
			"file, while logins go on. Only root may. The file is encrypted as age(1) does,\n" +
			"with a passphrase or to the public key of age-keygen(1); FILE must be new.",
		Example: "  mfactl backup /root/mfa.age\n  mfactl backup /backup/mfa.age --passphrase-file /root/passphrase\n" +
			"  mfactl backup /backup/mfa.age --recipient age1...",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := os.Lstat(args[0]); err == nil {
				return exitError{code: exitFailed, err: fmt.Errorf("write %q: it is there already", args[0]), hint: "Name a new file, or remove that one."}
			}
			recipients, err := l.seals(cmd)
			if err != nil {
				return failed(err)
			}
			b := &backup{client: c}
			if err := b.write(cmd, args[0], recipients); err != nil {
				return failed(err)
			}
			printf(cmd.OutOrStdout(), "%s saved in %s.\n", counted(b.users, "user"), args[0])
			if len(b.problems) > 0 {
				return exitError{code: exitFailed, err: fmt.Errorf("%s could not be read: %s", counted(len(b.problems), "record"), b.problems[0])}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&l.passphraseFile, "passphrase-file", "", "take the passphrase from the first line of this `FILE`")
	cmd.Flags().StringArrayVar(&l.recipients, "recipient", nil, "encrypt to this public `KEY` (age1...) in place of a passphrase; can be given again")
	cmd.MarkFlagsMutuallyExclusive("passphrase-file", "recipient")
	return cmd
}

// failed gives an error that has no exit code the usual one.
func failed(err error) error {
	if _, ok := errors.AsType[exitError](err); ok || err == nil {
		return err
	}
	return exitError{code: exitFailed, err: err}
}

// A backupEnd is the last line of a backup.
type backupEnd struct {
	End   bool `json:"end"`
	Users int  `json:"users"`
}

// A backup is one that is being written.
type backup struct {
	*client
	users    int
	problems []string
}

// write puts the whole backup into place, or nothing.
func (b *backup) write(cmd *cobra.Command, path string, to []age.Recipient) error {
	var broken error // of what goes into the file, which says itself where it is from
	err := file.Place{Prefix: ".mfa-backup-", New: true}.Write(path, func(w io.Writer) error {
		broken = b.encrypt(cmd, w, to)
		return broken
	})
	if err != nil && broken == nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	return err
}

func (b *backup) encrypt(cmd *cobra.Command, f io.Writer, to []age.Recipient) error {
	w, err := age.Encrypt(f, to...)
	if err != nil {
		return err
	}
	if err := b.lines(cmd, w); err != nil {
		return err // and w stays open: what is there is not a whole file
	}
	return w.Close()
}

// lines writes the header, a line for each user, and the end.
func (b *backup) lines(cmd *cobra.Command, w io.Writer) error {
	m, header := &meter{}, false
	defer func() { m.end() }()
	begin := func(total int) { m = newMeter(cmd, "saving users", total) }
	err := stream(cmd.Context(), b.client, wire.GetBackup.For(), begin, func(line json.RawMessage) error {
		if header {
			m.step()
			if err := b.count(line); err != nil {
				return err
			}
		}
		header = true
		_, err := w.Write(append(line, '\n'))
		return err
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(backupEnd{End: true, Users: b.users + len(b.problems)})
}

func (b *backup) count(line json.RawMessage) error {
	var u wire.Saved
	if err := json.Unmarshal(line, &u); err != nil {
		return err
	}
	if u.Problem != "" {
		b.problems = append(b.problems, u.Problem)
	} else {
		b.users++
	}
	return nil
}

// exitOf returns the exit code of an error about a file.
func exitOf(err error) int {
	if errors.Is(err, fs.ErrNotExist) {
		return exitNotFound
	}
	return exitFailed
}
