package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"mfa/internal/host/file"
	"mfa/internal/host/foreign"
	"mfa/internal/wire"
)

// owning is how is said whose tokens are.
type owning struct {
	pairs []string // NUMBER=USER
	file  string   // lines of NUMBER,USER
}

func importPSKCCommand(c *client) *cobra.Command {
	im := &importer{client: c, what: "token"}
	var owning owning
	var keyFile string
	cmd := &cobra.Command{
		Use:   "pskc FILE",
		Short: "Give users the tokens of a list: PSKC, or lines with commas",
		Long: "Give users the tokens of a list as their maker hands it out: PSKC (RFC 6030),\n" +
			"plain or encrypted under a key that is in --key-file, in hexadecimal; or lines\n" +
			"with commas, of which the first names the columns: serial,secret, and if they are\n" +
			"there user,counter,digits. The file must be readable by its owner alone.\n\n" +
			"The list says whose a token is, or --user, or a file of lines like 12345678,alice.\n" +
			"A token that counts and is nobody's waits for whoever says the number on it.\n" +
			"Tokens that count and tokens that go by time are taken. A count never goes back:\n" +
			"importing a list again brings no used code back.",
		Example: "  mfactl import pskc tokens.xml\n  mfactl import pskc tokens.xml --key-file transport.key --users owners.csv --yes\n" +
			"  mfactl import pskc tokens.csv --user 12345678=alice --yes",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			owners, err := owning.read()
			if err != nil {
				return err
			}
			list, err := readTokens(cmd, args[0], keyFile, owners)
			if err != nil {
				return err
			}
			im.source = wire.SourceCSV
			if list.PSKC {
				im.source = wire.SourcePSKC
			}
			if list.Signed {
				fmt.Fprintln(cmd.ErrOrStderr(), "mfactl: the list is signed, and nobody looked at the signature: pskctool --verify does.")
			}
			return im.run(cmd, list.Found)
		},
	}
	im.flags(cmd)
	cmd.Flags().StringVar(&keyFile, "key-file", "", "`FILE` with the key that the list is encrypted under")
	cmd.Flags().StringArrayVar(&owning.pairs, "user", nil, "the token of that number is this user's: `NUMBER=USER`; can be given again")
	cmd.Flags().StringVar(&owning.file, "users", "", "`FILE` of lines like 12345678,alice that say whose tokens are")
	return cmd
}

// readTokens reads the list.
func readTokens(cmd *cobra.Command, path, keyFile string, owners map[string]string) (list foreign.TokenList, err error) {
	var shared []byte
	if keyFile != "" {
		secret, err := file.ReadPrivate(keyFile, file.RootOrMe)
		if err == nil {
			shared, err = foreign.ParseShared(secret.Text)
		}
		if err != nil {
			return list, exitError{code: exitOf(err), err: fmt.Errorf("key file: %w", err)}
		}
	}
	list, err = foreign.FindTokens(cmd.Context(), path, shared, owners)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return list, exitError{code: exitNotFound, err: err}
	case err != nil:
		return list, exitError{code: exitFailed, err: err, hint: "Nothing was changed."}
	case len(list.Found) == 0:
		return list, exitError{code: exitNotFound, err: fmt.Errorf("%s: no token is in it", path)}
	}
	return list, nil
}

// read returns whose tokens are, by their serial numbers.
func (o owning) read() (map[string]string, error) {
	owners := map[string]string{}
	for _, pair := range o.pairs {
		serial, user, _ := strings.Cut(pair, "=")
		if err := own(owners, serial, user); err != nil {
			return nil, exitError{code: exitUsage, err: fmt.Errorf("--user %s: %w", pair, err)}
		}
	}
	if o.file == "" {
		return owners, nil
	}
	secret, err := file.ReadPrivateUpTo(maxOwners, o.file, file.RootOrMe)
	if err != nil {
		return nil, exitError{code: exitFailed, err: err}
	}
	r := csv.NewReader(strings.NewReader(secret.Text))
	r.FieldsPerRecord, r.TrimLeadingSpace, r.Comment = 2, true, '#'
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return owners, nil
		}
		line := 0
		if parse, is := errors.AsType[*csv.ParseError](err); is {
			line, err = parse.Line, parse.Err
		} else if err == nil {
			line, _ = r.FieldPos(0)
			err = own(owners, fields[0], fields[1])
		}
		if err != nil {
			return nil, exitError{code: exitFailed, err: fmt.Errorf("%s line %d: %w", o.file, line, err), hint: "Nothing was changed."}
		}
	}
}

// maxOwners bounds the file that says whose tokens are, in bytes.
const maxOwners = 8 << 20

// own notes that the token of that serial number is the user's.
func own(owners map[string]string, serial, user string) error {
	serial, user = strings.TrimSpace(serial), strings.TrimSpace(user)
	switch {
	case serial == "" || user == "":
		return errors.New("want the number of a token and a user")
	case owners[serial] != "":
		return fmt.Errorf("the user of %s was given before", serial)
	}
	owners[serial] = user
	return nil
}
