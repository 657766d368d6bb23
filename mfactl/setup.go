package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mfa/internal/config"
	"mfa/internal/host"
	"mfa/internal/host/doctor"
	"mfa/internal/host/pamstack"
	"mfa/internal/host/setup"
)

// A switcher switches the second factor of one service on or off.
type switcher struct {
	*cobra.Command
	client  *client
	service string
	path    string // of mfa.toml
	first   string // first factor
	oneLine bool   // the code behind the password
	user    string // whose login proves it; "": anybody's
	warned  []doctor.Finding
	yes     bool
	dryRun  bool
	asJSON  bool          // of what a dry run shows
	within  time.Duration // for the proof; 0: none is asked for
}

// Printf prints for people; see printf.
func (s *switcher) Printf(format string, args ...any) { printf(s.OutOrStderr(), format, args...) }

func setupCommand(c *client) *cobra.Command {
	s := &switcher{client: c}
	var undo bool
	var guard int
	var until string
	cmd := &cobra.Command{
		Use:   "setup SERVICE [--undo]",
		Short: "Switch the second factor on for sshd, sudo, su or login, and off again",
		Long: "Switch the second factor on for one service: /etc/pam.d/SERVICE, and for sshd its\n" +
			"configuration. The change is shown first, and tried out on what doctor knows. Keep\n" +
			"your session open and log in in a second terminal: unless a login with a second\n" +
			"factor has worked in time, everything is put back bit by bit. So it is when you\n" +
			"press Ctrl-C, when this terminal goes away, and when mfactl is killed.\n\n" +
			"The login that proves it is yours: that of whoever became root, or of --user.\n\n" +
			"Before the second factor of ssh comes a password; or a key, with --first-factor\n" +
			"key; or with --first-factor both a key for those who have one, and a password for\n" +
			"the others.\n\n" +
			"With --one-line the code is typed behind the password, for programs that ask for a\n" +
			"password and no more: any service of /etc/pam.d, such as dovecot, openvpn or vsftpd.\n\n" +
			"With --undo everything is put back as it was before; without SERVICE, all that\n" +
			"was ever switched on.\n\n" +
			"With --dry-run it only shows what would change, on or off; with --json for programs.",
		Example:   "  mfactl setup sshd\n  mfactl setup sshd --first-factor key\n  mfactl setup sshd --first-factor both --user alice\n  mfactl setup openvpn --one-line\n  mfactl setup sudo --confirm-within 5m\n  mfactl setup sshd --undo\n  mfactl setup --undo --dry-run",
		ValidArgs: setup.Services,
		Args: func(_ *cobra.Command, args []string) error {
			if undo && len(args) == 0 {
				return nil
			}
			return knownService(args, s.oneLine || undo || guard > 0)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if os.Geteuid() != 0 {
				return exitError{code: exitNotAllowed, err: errors.New("only root can change how logins work"), hint: "Try it as root, for example with sudo."}
			}
			s.Command = cmd
			if len(args) > 0 {
				s.service = args[0]
			}
			if s.asJSON && !s.dryRun {
				return exitError{code: exitUsage, err: errors.New("--json goes with --dry-run")}
			}
			switch {
			case guard > 0:
				return s.guard(cmd.Context(), guard, until)
			case undo && s.dryRun:
				return s.showUndo()
			case undo:
				return s.undo(cmd.Context())
			}
			return s.run(cmd.Context())
		},
	}
	s.flags(cmd)
	cmd.Flags().BoolVar(&undo, "undo", false, "put back what was there before")
	cmd.Flags().IntVar(&guard, "guard", 0, "watch this process")
	cmd.Flags().StringVar(&until, "until", "", "take the change back then")
	_ = cmd.Flags().MarkHidden("guard") // both are there
	_ = cmd.Flags().MarkHidden("until")
	return cmd
}

// flags gives the command the flags of s.
func (s *switcher) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&s.yes, "yes", false, "do not ask before the change is made")
	cmd.Flags().BoolVar(&s.dryRun, "dry-run", false, "only show what would change")
	jsonFlag(cmd, &s.asJSON)
	cmd.Flags().DurationVar(&s.within, "confirm-within", 2*time.Minute, "how long to wait for a login that proves it; 0: do not wait, the change stays")
	cmd.Flags().StringVar(&s.first, "first-factor", setup.Password, "what comes before the second factor: password; for sshd also key, or both")
	cmd.Flags().BoolVar(&s.oneLine, "one-line", false, "the code stands behind the password, in one line; for any service")
	cmd.Flags().StringVar(&s.user, "user", "", "`USER` whose login proves it (default: who runs this)")
	cmd.Flags().StringVar(&s.path, "config", config.Path, "the configuration of mfad, a `FILE`")
}

// hinted returns err with exitFailed and a hint.
func hinted(err error, hint string) error { return exitError{code: exitFailed, err: err, hint: hint} }

func (s *switcher) run(ctx context.Context) error {
	if !slices.Contains(setup.FirstFactors, s.first) {
		return exitError{code: exitUsage, err: fmt.Errorf("--first-factor is %q, not password or key or both", s.first)}
	}
	if err := s.prover(ctx); err != nil {
		return err
	}
	cfg, err := config.Load(s.path)
	if err != nil {
		return hinted(err, "Mend it first: mfad --check.")
	}
	h, err := hostAt(s.client, "/", s.path)
	if err != nil {
		return err
	}
	if b, err := setup.Find(s.service); err == nil && b.Pending() {
		return hinted(fmt.Errorf("a change of %s waits for its proof since %s", s.service, b.Made.Local().Format(time.DateTime)),
			"Wait for its end, or take it back: mfactl setup "+s.service+" --undo")
	}
	opts := setup.Options{Service: s.service, First: s.first, OneLine: s.oneLine, Socket: cfg.Server.PAMSocket, OldSSHD: s.service == "sshd" && h.SSHD != nil && host.IsOldSSHD(ctx)}
	changes, err := setup.Make(h.FS, opts)
	if errors.Is(err, setup.ErrAlready) {
		return s.isOn(h)
	}
	// A machine that is not ready is the better reason, if there are two.
	if err := setup.Ready(ctx, h); err != nil {
		return hinted(err, "Mend that first; mfactl doctor says how. Nothing was changed.")
	}
	if err != nil {
		return hinted(err, "Nothing was changed.")
	}
	s.warned = setup.Foresee(ctx, h, opts, changes, time.Duration(cfg.Server.LoginTimeout))
	if s.dryRun {
		return s.showPlans(s.plan(changes))
	}
	if !s.agreed(changes) {
		return hinted(errors.New("nothing was changed"), "Answer y, or give --yes.")
	}
	return s.change(ctx, h, cfg, changes)
}

// isOn says that the service is switched on already.
func (s *switcher) isOn(h doctor.Host) error {
	if s.asJSON {
		return s.showPlans(s.plan(nil))
	}
	s.Printf("The second factor is switched on for %s already. What a login goes through: %s\n",
		s.service, doctor.ExamineStack(h.FS, s.service).Login.Goes)
	return nil
}

// agreed shows the changes and asks whether to make them, unless --yes is given.
func (s *switcher) agreed(changes []setup.Change) bool {
	s.showChanges(changes)
	s.Printf("What is there now is kept in %s.\n", filepath.Join(setup.Folder, s.service))
	if s.within > 0 {
		s.Println("Keep this session open: it is your way back.")
	}
	s.warn(s.warned)
	if s.service == "sshd" && s.first != setup.Both && !s.oneLine && !s.yes {
		s.Println("A host can have both, a key and a code for those who have a key, a password and a code for\n" +
			"the others: mfactl setup sshd --first-factor both")
	}
	return s.yes || confirm(s.Command, "Make these changes? [y/N] ")
}

// change makes the changes and waits for the login that proves them. After any error
// everything is put back.
func (s *switcher) change(ctx context.Context, h doctor.Host, cfg config.Config, changes []setup.Change) (err error) {
	proof, err := setup.Watch(cfg.Audit.File, setup.AllServices(h.FS, s.service), s.user)
	if err != nil {
		return hinted(err, "Nothing was changed.")
	}
	defer proof.Close()
	b, err := setup.Keep(s.service, changes, time.Now())
	if err != nil {
		return hinted(err, "Nothing was changed.")
	}
	defer func() {
		if err == nil {
			return
		}
		// ctx may have ended; putting back must run all the same.
		if back := s.putBack(context.WithoutCancel(ctx), b, true); back != nil {
			err = hinted(errors.Join(err, back), "Put it back by hand from "+filepath.Join(setup.Folder, s.service)+".")
			return
		}
		err = hinted(fmt.Errorf("%w; everything is as it was", err), "")
	}()
	if s.within > 0 {
		err := b.StartGuard(ctx, s.within, func(pid int, until time.Time) []string {
			return []string{"setup", s.service, "--guard", strconv.Itoa(pid), "--until", until.Format(time.RFC3339)}
		})
		if err != nil {
			return err
		}
	}
	since := time.Now()
	if err := b.Apply(); err != nil {
		return err
	}
	if err := s.tryOut(ctx, h, cfg); err != nil {
		return err
	}
	if s.service == "sshd" {
		s.reload(ctx)
	}
	return s.prove(ctx, proof, b, since)
}

// tryOut checks the change with doctor and sshd, and prints what they warn of.
func (s *switcher) tryOut(ctx context.Context, h doctor.Host, cfg config.Config) error {
	goes, warned, err := setup.Try(ctx, h, s.service, time.Duration(cfg.Server.LoginTimeout))
	s.warn(slices.DeleteFunc(warned, func(f doctor.Finding) bool { return slices.Contains(s.warned, f) })) // not twice
	if err == nil {
		s.Printf("A login through %s now goes through: %s\n", s.service, goes)
	}
	return err
}

// warn shows what doctor warns of.
func (s *switcher) warn(findings []doctor.Finding) {
	for _, f := range findings {
		s.Printf("Look at this: %s: %s\n  To mend it: %s\n", f.Where, f.What, f.Mend)
	}
}

// prove waits for a login that proves the change, and then makes the change stay.
func (s *switcher) prove(ctx context.Context, proof *setup.Proof, b *setup.Backup, since time.Time) error {
	undo := "mfactl setup " + s.service + " --undo"
	if s.within <= 0 {
		s.Printf("The change stays. To take it back: %s\n", undo)
		return b.Confirm()
	}
	who := s.user
	if who == "" {
		who = "anybody"
	}
	if s.oneLine {
		s.Println("In this login the code stands behind the password: secret123456; or ,email to have one sent.")
	}
	s.Printf("Now log in in a second terminal through %s as %s, with the second factor. Unless that\n"+
		"works within %s, everything is put back as it was.\n", s.service, who, s.within)
	ctx, cancel := context.WithTimeoutCause(ctx, s.within, fmt.Errorf("nobody proved a login within %s", s.within))
	defer cancel()
	ev, err := proof.Await(ctx, since)
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	if err != nil {
		return err
	}
	if err := b.Confirm(); err != nil {
		return err
	}
	s.Printf("%s logged in (%s, from %s). The change stays. To take it back: %s\n", ev.User, ev.Method, ev.Address, undo)
	return nil
}

// guard is the process that puts everything back if process pid, which waits for a
// proof, dies or is not done by until.
func (s *switcher) guard(ctx context.Context, pid int, until string) error {
	deadline, err := time.Parse(time.RFC3339, until)
	if err != nil {
		return exitError{code: exitUsage, err: err}
	}
	return setup.Guard(ctx, s.service, pid, deadline, func(b *setup.Backup, _ []string) error {
		if b.Service == "sshd" {
			s.reload(context.WithoutCancel(ctx))
		}
		return nil
	})
}

// reload makes sshd read its configuration again, and prints it if that fails.
// Running logins are not touched.
func (s *switcher) reload(ctx context.Context) {
	if err := host.ReloadSSHD(ctx); err != nil {
		s.Printf("sshd was not told (%v); it reads its configuration at its next start.\n", err)
	}
}

// undo puts back the files of one service, or of all.
func (s *switcher) undo(ctx context.Context) error {
	services, err := s.toUndo()
	if err != nil {
		return hinted(err, "")
	}
	done := 0
	for _, s.service = range services {
		b, err := setup.Find(s.service)
		if errors.Is(err, setup.ErrNone) {
			continue
		}
		if err == nil {
			err = s.putBack(ctx, b, false)
		}
		if err != nil {
			return s.notUndone(err)
		}
		done++
		s.Printf("%s is as it was before.\n", s.service)
	}
	if with := keptWith(s.service); done == 0 && with != "" {
		return exitError{code: exitFailed, err: fmt.Errorf("%s was changed together with %s", s.service, with), hint: "This takes back both: mfactl setup " + with + " --undo"}
	}
	if done == 0 && s.service != "" && !hasService(s.service) {
		return exitError{code: exitNotFound, err: fmt.Errorf("no PAM service is called %q, and there is nothing to take back", s.service)}
	}
	if done == 0 {
		s.Println("There is nothing to take back.")
	}
	return nil
}

// keptWith returns the service in whose backup the PAM file of another one is, "" if there is none:
// sudo-i is changed together with sudo.
func keptWith(service string) string {
	kept, err := setup.Kept()
	if err != nil {
		return ""
	}
	for _, name := range kept {
		if b, err := setup.Find(name); err == nil && name != service && slices.Contains(b.Paths(), "/etc/pam.d/"+service) {
			return name
		}
	}
	return ""
}

// hasService reports whether a file of PAM is for a service: libpam has more folders than
// /etc/pam.d (pam.d(5)). A name that cannot be one has none.
func hasService(name string) bool {
	svc, err := pamstack.Load(os.DirFS("/"), name)
	return err == nil && svc.File != ""
}

// toUndo returns the services that are to be put back.
func (s *switcher) toUndo() ([]string, error) {
	if s.service != "" {
		return []string{s.service}, nil
	}
	return setup.Kept()
}

// notUndone returns err with what can be done about it.
func (s *switcher) notUndone(err error) error {
	foreign, ok := errors.AsType[setup.Foreign](err)
	if !ok {
		return hinted(err, "")
	}
	hint := "What it was before is in " + filepath.Join(setup.Folder, s.service) + "/manifest.json."
	for _, path := range foreign.Paths {
		if strings.HasPrefix(path, "/etc/pam.d/") {
			hint += "\nTake the lines with pam_mfa.so out of " + path + " by hand."
		} else {
			hint += "\nTake out of " + path + " by hand what was not there before."
		}
	}
	return hinted(err, hint)
}

// putBack puts back what was there, and tells sshd.
func (s *switcher) putBack(ctx context.Context, b *setup.Backup, force bool) error {
	paths := b.Paths()
	kept, err := b.Undo(force)
	for _, path := range kept {
		s.Printf("Somebody else had changed a file meanwhile; what they wrote is in %s.\n", path)
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(paths, func(p string) bool { return strings.HasPrefix(p, "/etc/ssh/") }) {
		s.reload(ctx)
	}
	return nil
}
