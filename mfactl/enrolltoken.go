package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mfa/internal/host/file"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// A newToken is a token that counts, as the flags of enroll tell it.
type newToken struct {
	wanted     bool
	secretFile string
	in         wire.NewToken
}

func (t *newToken) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&t.wanted, "hotp", false, "set up a token that counts")
	cmd.Flags().StringVar(&t.secretFile, "secret-file", "", "with --hotp: `FILE` with its secret; - is the standard input")
	cmd.Flags().StringVar(&t.in.Serial, "serial", "", "with --hotp: `NUMBER` on it; alone, the token of that number that import brought in")
	cmd.Flags().Int64Var(&t.in.Count, "counter", 0, "with --hotp: `COUNT` of its next code; no code before is good")
	cmd.Flags().StringSliceVar(&t.in.Codes, "codes", nil, "with --hotp: `CODE,NEXT` that the user's token shows now, to find it again")
	cmd.Flags().IntVar(&t.in.Digits, "digits", 6, "with --hotp: digits of its codes")
}

// tokenFlags mean nothing without --hotp, and all but the number nothing without a secret.
var tokenFlags = []string{"secret-file", "serial", "counter", "digits", "codes"}

// maxSecretLine bounds the line with a secret, in bytes.
const maxSecretLine = 4096

// read returns what the flags mean. The secret is read from a file, for a command line is
// everybody's to read.
func (t *newToken) read(cmd *cobra.Command) (wire.NewToken, error) {
	if err := t.check(cmd); err != nil || !t.wanted || t.secretFile == "" {
		return t.in, err
	}
	line, err := t.line(cmd)
	if err != nil {
		return t.in, exitError{code: exitOf(err), err: err}
	}
	t.in.Secret = line
	return t.in, nil
}

// check refuses flags that mean nothing together.
func (t *newToken) check(cmd *cobra.Command) error {
	for _, name := range tokenFlags {
		switch set := cmd.Flags().Changed(name); {
		case set && !t.wanted:
			return exitError{code: exitUsage, err: fmt.Errorf("--%s is for --hotp", name), hint: "Give --hotp too."}
		case set && name == "codes" && (len(t.in.Codes) != 2 || t.secretFile != "" || t.in.Serial != ""):
			return exitError{code: exitUsage, err: errors.New("--codes are two, of the token that the user has"), hint: "Give two codes in a row, as 123456,654321, and no token beside them."}
		case set && t.secretFile == "" && name != "serial" && name != "codes":
			return exitError{code: exitUsage, err: fmt.Errorf("--%s is for a token whose secret is given", name), hint: "Give --secret-file too."}
		}
	}
	return nil
}

// line returns the line with the secret.
func (t *newToken) line(cmd *cobra.Command) (string, error) {
	text := ""
	if t.secretFile == "-" {
		line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), maxSecretLine)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the secret: %w", err)
		}
		text = line
	} else {
		f, err := file.ReadPrivate(t.secretFile, file.RootOrMe)
		if err != nil {
			return "", err
		}
		text = f.Text
	}
	line, _, _ := strings.Cut(text, "\n")
	if strings.TrimSpace(line) == "" {
		return "", errors.New("read the secret: the first line is empty")
	}
	return strings.TrimSpace(line), nil
}

// enrollToken sets up a token for another user, and shows what an app needs that got a new
// secret.
func (c *client) enrollToken(cmd *cobra.Command, user string, in wire.NewToken, drawn bool) error {
	var out wire.NewApp
	if err := c.call(cmd.Context(), wire.PostToken.For(user), in, &out); err != nil {
		return err
	}
	switch {
	case len(in.Codes) > 0:
		printf(cmd.OutOrStdout(), "The token of %s is found again: its next code counts.\n", out.User)
	case out.Text == "":
		printf(cmd.OutOrStdout(), "%s has the token.\n", out.User)
	default:
		printApp(cmd, out, drawn)
	}
	warnOfReplaced(cmd, out)
	c.warnOfNoTokens(cmd)
	return nil
}

// warnOfNoTokens says that tokens which count are a second factor of nobody, where it is so.
func (c *client) warnOfNoTokens(cmd *cobra.Command) {
	if st, err := c.status(cmd.Context()); err == nil && !slices.Contains(st.Methods, mfa.HOTP) {
		fmt.Fprintln(cmd.ErrOrStderr(), "mfactl: tokens that count are nobody's second factor yet: add hotp to methods under [policy] in mfa.toml.")
	}
}
