package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"mfa/internal/wire"
)

// The words of --to, those of store.backend.
const (
	toEtcd  = "etcd"
	toLocal = "local"
)

func migrateCommand(c *client) *cobra.Command {
	var yes, asJSON bool
	var to string
	cmd := &cobra.Command{
		Use:   "migrate --to etcd|local",
		Short: "Copy all records to the store of a fleet, or back to this host",
		Long: "Copy all records to the store of a fleet, or back to this host, while logins go on.\n" +
			"Each record is read back and compared. It can be cut short, and run again.\n\n" +
			"To join a fleet: fill [store.etcd] in mfa.toml, leave store.backend = \"local\", and\n" +
			"run it with --to etcd. Then set store.backend = \"etcd\" and restart mfad: that start\n" +
			"copies what changed meanwhile. Back it goes the same way with --to local, and this\n" +
			"host leaves the fleet: what is used here from then on is not known there.",
		Example: "  mfactl migrate --to etcd\n  mfactl migrate --to local --yes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to != toEtcd && to != toLocal {
				return exitError{code: exitUsage, err: fmt.Errorf("--to is %q, and not %q or %q", to, toEtcd, toLocal)}
			}
			if to == toLocal && !yes && !confirm(cmd, "Copy all records of the fleet to this host, so that it can leave the fleet? [y/N] ") {
				return errNotConfirmed
			}
			return c.migrate(cmd, to, asJSON)
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "the `STORE`: etcd or local, as in store.backend")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// A migration is what became of all users.
type migration struct {
	To       string          `json:"to"`
	Checked  int             `json:"checked"`          // users whose records are the same there
	Kept     []string        `json:"kept,omitempty"`   // of whom the fleet has another enrollment
	Locked   []string        `json:"locked,omitempty"` // who are locked there
	Problems []wire.Migrated `json:"problems,omitempty"`
	Next     string          `json:"next"`
}

func (c *client) migrate(cmd *cobra.Command, to string, asJSON bool) error {
	m, found := &meter{}, migration{To: to}
	defer func() { m.end() }()
	begin := func(total int) { m = newMeter(cmd, "copying records", total) }
	err := stream(cmd.Context(), c, wire.PostMigrate.For(to), begin, func(u wire.Migrated) error {
		m.step()
		switch {
		case u.Problem != "":
			found.Problems = append(found.Problems, u)
		case u.Result == "kept":
			found.Kept = append(found.Kept, u.User)
		case u.Result == "locked":
			found.Locked = append(found.Locked, u.User)
		}
		if u.Problem == "" {
			found.Checked++
		}
		return nil
	})
	m.end()
	if err != nil {
		return err
	}
	found.Next = fmt.Sprintf("Now set store.backend = %q and restart mfad: what changes until then is copied at that start.", to)
	if asJSON {
		err = printJSON(cmd.OutOrStdout(), found)
	} else {
		found.print(cmd.OutOrStdout())
	}
	if err == nil && len(found.Problems) > 0 {
		err = exitError{code: exitFailed, err: errors.New("not all records were copied"), hint: "Mend them, and run it once more."}
	}
	return err
}

// print says for people what became of the users.
func (f migration) print(w io.Writer) {
	printf(w, "The records of %s were copied and checked.\n", counted(f.Checked, "user"))
	for _, user := range f.Kept {
		printf(w, "%s: the fleet has another enrollment, which counts; what was spent and counted here was added.\n", user)
	}
	for _, user := range f.Locked {
		printf(w, "%s: a record cannot be read, or the token is another user's: kept out there until 'mfactl unlock', or 'mfactl reset'.\n", user)
	}
	for _, p := range f.Problems {
		printf(w, "%s: %s\n", p.User, p.Problem)
	}
	if f.To == toLocal {
		printf(w, "Other hosts stay in the fleet, and will not know what is used on this one.\n")
	}
	if len(f.Problems) == 0 {
		printf(w, "%s\n", f.Next)
	}
}
