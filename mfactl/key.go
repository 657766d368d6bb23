package main

import (
	"errors"

	"mfa/internal/wire"

	"github.com/spf13/cobra"
)

func keyCommand(c *client) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "key",
		Short:   "Look after the key that protects what is stored",
		Example: "  mfactl key rotate",
		Args:    noVerb,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(rotateCommand(c))
	return cmd
}

func rotateCommand(c *client) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Make a new key and seal all secrets with it",
		Long: "Make a new key and seal all secrets with it, while logins go on. The former key\n" +
			"stays in the key file until the codes that were sent before have expired; then\n" +
			"mfad forgets it. If it is cut short, the next start of mfad brings it to an end.\n\n" +
			"Make a new backup afterwards: a copy of the former key file is of no use then.",
		Example: "  mfactl key rotate\n  mfactl key rotate --yes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes && !confirm(cmd, "Make a new key? Copies of the old key file will be of no use. [y/N] ") {
				return errNotConfirmed
			}
			return c.rotateKey(cmd)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (c *client) rotateKey(cmd *cobra.Command) error {
	m, done := &meter{}, 0
	defer func() { m.end() }()
	var problems []string
	begin := func(total int) { m = newMeter(cmd, "sealing secrets", total) }
	err := stream(cmd.Context(), c, wire.PostRotate.For(), begin, func(u wire.Resealed) error {
		m.step()
		if done++; u.Problem != "" {
			problems = append(problems, u.Problem)
		}
		return nil
	})
	m.end()
	if err != nil {
		return err
	}
	printf(cmd.OutOrStdout(), "There is a new key; the secrets of %s are sealed with it.\n", counted(done-len(problems), "user"))
	if len(problems) > 0 {
		for _, p := range problems {
			printf(cmd.ErrOrStderr(), "mfactl: %s\n", p)
		}
		return exitError{
			code: exitFailed, err: errors.New("the former key stays in the key file, for the sake of these records"),
			hint: "Mend them, and run it once more.",
		}
	}
	return nil
}
