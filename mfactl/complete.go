package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mfa/internal/host/nss"
	"mfa/internal/host/pamstack"
	"mfa/internal/host/setup"
)

// A completer returns what may stand at a place of the command line.
type completer func(cmd *cobra.Command) []string

// only returns a completer of words that are always the same; none: nothing
// belongs there, no file either.
func only(all ...string) completer { return func(*cobra.Command) []string { return all } }

var methods = only(methodNames...)

// arguments are what the verbs take, in order; the last goes on for all that
// follow. A verb that is not here takes files.
var arguments = map[string][]completer{
	"show": {users, only()}, "lock": {users, only()}, "unlock": {users, only()}, "reset": {users, only()},
	"explain": {users, only()}, "enroll": {users, only()}, "test": {users, only()},
	"confirm resend": {users, only()}, "sessions list": {users, only()}, "sessions revoke": {users, only()},
	"doctor": {services}, "setup": {only(setup.Services...), only()},
	"prefer":    {only(slices.Concat(methodNames, []string{"call"})...), only()},
	"language":  {only(languages()...), only()},
	"send-test": {only("email", "sms", "call"), only()},
	"status":    {only()}, "reload": {only()}, "users": {only()}, "audit": {only()}, "opt-out": {only()},
	"backup-codes": {only()}, "key rotate": {only()},
}

// values are what flags take that are neither files nor free text.
var values = map[string]completer{
	"user": users, "service": services, "method": methods,
	"setup --first-factor":   only(setup.FirstFactors...),
	"explain --first-factor": only("password", "publickey", "gssapi-with-mic", "hostbased"),
}

// complete tells a shell what belongs where.
func complete(root *cobra.Command) {
	for _, cmd := range verbs(root) {
		verb := strings.TrimPrefix(cmd.CommandPath(), root.Name()+" ")
		if places := arguments[verb]; places != nil {
			cmd.ValidArgs = nil
			cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
				return places[min(len(args), len(places)-1)](cmd), cobra.ShellCompDirectiveNoFileComp
			}
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			value := values[verb+" --"+f.Name]
			if value == nil {
				value = values[f.Name]
			}
			if value != nil {
				_ = cmd.RegisterFlagCompletionFunc(f.Name, func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
					return value(cmd), cobra.ShellCompDirectiveNoFileComp
				}) // the flag is there
			}
		})
	}
}

// refuseOtherShells has cobra's verb completion refuse a shell that it does not know: it would
// print its help in the place of a script, and end well.
func refuseOtherShells(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	cmd, _, err := root.Find([]string{"completion"})
	if err != nil {
		return
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		var shells []string
		for _, shell := range cmd.Commands() {
			shells = append(shells, shell.Name())
		}
		return exitError{
			code: exitUsage, err: fmt.Errorf("no completions for the shell %q", args[0]),
			hint: "There are those for " + strings.Join(shells, ", ") + ".",
		}
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}

// verbs returns cmd and all that is below it.
func verbs(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		all = append(all, verbs(sub)...)
	}
	return all
}

// users are the accounts that NSS lists.
func users(cmd *cobra.Command) []string {
	accounts, err := nss.People(cmd.Context())
	if err != nil {
		return nil
	}
	var names []string
	for _, p := range accounts {
		names = append(names, p.Name)
	}
	return names
}

// services are those that have a file in /etc/pam.d.
func services(*cobra.Command) []string {
	names, err := pamstack.Own(os.DirFS("/"))
	if err != nil {
		return nil
	}
	return names
}
