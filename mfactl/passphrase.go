package main

import (
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"mfa/internal/host/file"
	"mfa/internal/mfa"
)

// scryptWork is the cost of a passphrase, as a power of two: about a second.
var scryptWork = 18

// minPassphrase is the shortest passphrase, in bytes: the file holds every secret.
const minPassphrase = 10

// A lock is what a backup is encrypted to or opened with: a passphrase or age keys.
type lock struct {
	passphraseFile string
	recipients     []string // age1…
	identityFile   string   // holds AGE-SECRET-KEY-1…
}

// seals returns what to encrypt a backup to: the recipients, or else a passphrase.
func (l lock) seals(cmd *cobra.Command) ([]age.Recipient, error) {
	if len(l.recipients) > 0 {
		return age.ParseRecipients(strings.NewReader(strings.Join(l.recipients, "\n")))
	}
	passphrase, err := l.passphrase(cmd, "Passphrase for the backup: ")
	if err != nil {
		return nil, err
	}
	if len(passphrase) < minPassphrase {
		return nil, fmt.Errorf("the passphrase is shorter than %d characters", minPassphrase)
	}
	if l.passphraseFile == "" {
		again, err := askHidden(cmd, "The same once more: ")
		if err != nil {
			return nil, err
		}
		if again != passphrase {
			return nil, errors.New("the two passphrases are not the same")
		}
	}
	r, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	r.SetWorkFactor(scryptWork)
	return []age.Recipient{r}, nil
}

// opens returns what decrypts a backup: the identities, or else a passphrase.
func (l lock) opens(cmd *cobra.Command) ([]age.Identity, error) {
	if l.identityFile != "" {
		f, err := file.ReadPrivate(l.identityFile, file.RootOrMe)
		if err != nil {
			return nil, exitError{code: exitOf(err), err: err}
		}
		ids, err := age.ParseIdentities(strings.NewReader(f.Text))
		if err != nil {
			return nil, fmt.Errorf("read %q: not a file of age-keygen", l.identityFile)
		}
		return ids, nil
	}
	passphrase, err := l.passphrase(cmd, "Passphrase of the backup: ")
	if err != nil {
		return nil, err
	}
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	return []age.Identity{id}, nil
}

// passphrase reads the file's first line, or asks.
func (l lock) passphrase(cmd *cobra.Command, question string) (string, error) {
	if l.passphraseFile == "" {
		return askHidden(cmd, question)
	}
	f, err := file.ReadPrivate(l.passphraseFile, file.RootOrMe)
	if err != nil {
		return "", exitError{code: exitOf(err), err: err}
	}
	line, _, _ := strings.Cut(f.Text, "\n")
	if line = strings.TrimRight(line, "\r"); line == "" {
		return "", fmt.Errorf("read %q: the first line is empty", l.passphraseFile)
	}
	return line, nil
}

// askHidden asks without echo. Where standard input is no terminal it is an error.
func askHidden(cmd *cobra.Command, question string) (string, error) {
	t := newTerminal(cmd)
	if t.file == nil {
		return "", exitError{code: exitUsage, err: errors.New("no terminal to ask for the passphrase on"), hint: "Give --passphrase-file."}
	}
	answer, err := t.Prompt(cmd.Context(), mfa.Prompt{Kind: mfa.AskHidden, Text: question})
	if err == nil && answer == "" {
		err = errors.New("no passphrase was given")
	}
	return answer, err
}
