package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mfa/internal/host/doctor"
	"mfa/internal/host/pamstack"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

func explainCommand(c *client) *cobra.Command {
	var asJSON bool
	var v wire.Visit
	cmd := &cobra.Command{
		Use:   "explain USER",
		Short: "Say what a login would come to, and why",
		Long: `Say what a login would come to: which rule of the policy counts, why those
before it do not match, what is asked, and what PAM returns. Where the PAM stack of
the service does not reach pam_mfa.so, that is said first. Nothing is sent or
changed.`,
		Example: "  mfactl explain alice --rhost 203.0.113.7\n" +
			"  mfactl explain alice --service sudo-i\n" +
			"  mfactl explain alice --rhost 203.0.113.7 --key SHA256:...",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v.User = args[0]
			var x wire.Explanation
			if err := c.read(cmd.Context(), wire.PostExplain.For(), v, &x); err != nil {
				return err
			}
			whole := explained{Explanation: x, SSHD: bySSHD(cmd.Context(), v, x)}
			whole.StackAsks, whole.Stack = stackAsks(v.Service)
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), whole); err != nil {
					return err
				}
			} else {
				printRows(cmd.OutOrStdout(), whole.rows())
			}
			if !x.Account && x.Result != wire.ResultUnavailable {
				return exitError{
					code: exitNotFound, err: fmt.Errorf("no account named %q on this machine", x.User),
					hint: "This is what a login by that name would see; no code is sent, and none is right.",
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&v.Service, "service", "sshd", "PAM service: the name of a file in /etc/pam.d")
	cmd.Flags().StringVar(&v.RHost, "rhost", "", "address that the login comes from; none: this machine itself")
	cmd.Flags().StringVar(&v.Key, "key", "", "fingerprint of the SSH key, as ssh-keygen -l prints it")
	cmd.Flags().StringVar(&v.FirstFactor, "first-factor", "", "what was proven before: password, publickey, gssapi-with-mic ... (default password, or publickey with --key)")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// An explained login is what mfad says of it, and what this machine makes of that.
type explained struct {
	wire.Explanation
	StackAsks *bool  `json:"stack_asks,omitempty"` // whether PAM asks mfad at all; nil: it cannot be told
	Stack     string `json:"stack,omitempty"`      // why not, or why it cannot be told; for people
	SSHD      string `json:"sshd,omitempty"`       // what sshd does all the same
}

// rows returns the rows to print: first what makes the rest idle.
func (e explained) rows() [][2]any {
	rows := explanationRows(e.Explanation)
	if e.Policy != "" {
		rows = append(rows, [2]any{"everybody", e.Policy})
	}
	if e.SSHD != "" {
		rows = slices.Insert(rows, 2, [2]any{"but sshd", e.SSHD})
	}
	if e.Stack != "" {
		rows = slices.Insert(rows, 0, [2]any{"PAM stack", e.Stack})
	}
	return rows
}

// stackAsks returns whether the PAM stack of a service has a login prove its second factor,
// nil if that cannot be told; and for people why not, or why it cannot be told.
func stackAsks(service string) (*bool, string) {
	files, err := doctor.Within("/")
	if err != nil {
		return nil, "cannot be looked at: " + err.Error()
	}
	return stackOf(files, service)
}

// stackOf is stackAsks by the files of a machine.
func stackOf(files fs.FS, service string) (*bool, string) {
	const unknown = "cannot be looked at, so it is not known whether a second factor is asked there: "
	svc, err := pamstack.Load(files, service)
	if err != nil {
		return nil, unknown + err.Error()
	}
	st := doctor.ExamineStack(files, service)
	asks, file := st.Login.Second, "/"+svc.File
	if svc.FromOther(pamstack.Auth) {
		file = fmt.Sprintf("there is no auth stack of %q, so /etc/pam.d/other decides, which", svc.Name)
	}
	const follows = "; what mfad would decide if it were asked follows"
	switch {
	case asks && svc.FromOther(pamstack.Auth):
		return &asks, file + " asks"
	case asks:
		return &asks, ""
	case svc.Refused != "":
		return &asks, "nobody gets in there, libpam refuses every call: " + svc.Refused + follows
	case slices.ContainsFunc(st.Found, func(f doctor.Finding) bool { return f.ID == "pam-complex" }):
		return nil, unknown + "there are too many ways through it"
	case st.Asks:
		return &asks, file + " names pam_mfa.so, but: " + st.Login.Goes + " (mfactl doctor " + svc.Name + ")" + follows
	}
	says := "no second factor is asked there: "
	if st.Login.Goes == "nobody gets in" {
		says = "nobody gets in there, and no second factor is asked: "
	}
	return &asks, says + file + " does not reach pam_mfa.so" + follows
}

// bySSHD returns what sshd does of its own: it keeps out a program that the policy lets in, or
// lets in whom mfad is not asked about. It returns "" if it does neither, and for a caller that is
// not root, who cannot ask sshd.
func bySSHD(ctx context.Context, v wire.Visit, x wire.Explanation) string {
	sshd := doctor.AskSSHD("/")
	if v.Service != "sshd" || os.Geteuid() != 0 || sshd == nil {
		return ""
	}
	text, err := sshd(ctx, doctor.Connection(v.User, v.RHost))
	if err != nil {
		return "cannot be asked: " + err.Error()
	}
	if refuses := rootBySSHD(text, v); refuses != "" {
		return refuses
	}
	if x.Result != wire.ResultLetIn {
		return aloneBySSHD(text, v)
	}
	methods := doctor.Refuses(text)
	if methods == "" {
		return ""
	}
	return "asks for keyboard-interactive all the same (AuthenticationMethods " + methods + "), and refuses a program that cannot answer " +
		"(BatchMode). In /etc/ssh/sshd_config: Match User " + v.User + ", and below it AuthenticationMethods publickey"
}

// rootBySSHD returns why sshd refuses root whatever mfad says; "" if it does not, or if root comes
// by a key that is not asked for more.
func rootBySSHD(text string, v wire.Visit) string {
	setting, always := doctor.RefusesRoot(text)
	switch {
	case v.User != "root" || setting == "" || !always && aloneBySSHD(text, v) != "":
		return ""
	case always:
		return "refuses root (" + setting + "): log in as yourself and use sudo"
	}
	return "refuses root wherever a code is typed (" + setting + "), whatever code it is: log in as yourself and use sudo; or, in " +
		"/etc/ssh/sshd_config, PermitRootLogin yes"
}

// aloneBySSHD returns why mfad is not asked at all after what was proven to sshd, whose settings are
// text; "" if it is.
func aloneBySSHD(text string, v wire.Visit) string {
	proven := v.FirstFactor
	if proven == "" && v.Key != "" {
		proven = "publickey"
	}
	if proven == "" || !doctor.Alone(text, proven) {
		return ""
	}
	return "lets in by " + proven + " alone, and asks PAM for nothing: mfactl setup sshd --first-factor both, or --first-factor key; see mfactl doctor sshd"
}

// explanationRows returns the rows to print, the outcome first.
func explanationRows(x wire.Explanation) [][2]any {
	rows := [][2]any{
		{"login", visitText(x)},
		{"what happens", x.Text},
		{"PAM", pamText(x)},
	}
	for _, p := range x.Problems {
		rows = append(rows, [2]any{"problem", p})
	}
	for _, p := range x.Passed {
		rows = append(rows, [2]any{"not rule " + p.Rule, p.Why})
	}
	switch {
	case x.Settings == nil: // nobody could say
	case x.Rule == "policy":
		rows = append(rows, [2]any{"rule", "none: [policy] counts as it is"})
	default:
		rows = append(rows, [2]any{"rule", x.Rule})
	}
	if s := x.Settings; s != nil {
		rows = append(rows, [2]any{"mode", s.Mode}, [2]any{"methods", methodText(s.Methods)},
			[2]any{"remember", s.Remember}, [2]any{"enrolling", fmt.Sprintf("at login %s, grace %s, opt-out %s",
				yesNo(s.EnrollAtLogin), s.EnrollGrace, yesNo(s.OptOut))})
	}
	if !x.Account {
		return rows
	}
	return append(rows, userRows(x)...)
}

// userRows returns the rows about the user's own state.
func userRows(x wire.Explanation) [][2]any {
	enrolled := methodText(x.Enrolled)
	if x.Skipped != nil {
		enrolled += "; chose to have none " + x.Skipped.Local().Format(time.DateTime)
	}
	locked := "no"
	switch {
	case x.Locked && x.LockedUntil != nil:
		locked = "until " + x.LockedUntil.Local().Format(time.DateTime) + "; 'mfactl unlock " + x.User + "' ends it"
	case x.Locked:
		locked = "until unlocked; 'mfactl unlock " + x.User + "' ends it"
	case x.Failures > 0:
		locked = fmt.Sprintf("no; recent failures: %d", x.Failures)
	}
	sessions := "none"
	if len(x.Sessions) > 0 {
		sessions = strings.Join(x.Sessions, ", ")
	}
	rows := append([][2]any{{"set up", enrolled}}, directoryRows(x.Directory, "")...)
	return append(rows, [][2]any{{"locked", locked}, {"remembered", sessions}}...)
}

func visitText(x wire.Explanation) string {
	text := x.User
	if x.UID != nil {
		text += fmt.Sprintf(" (uid %d)", *x.UID)
	}
	text += " by " + x.Service
	if x.Address == "local" {
		text += " on this machine"
	} else {
		text += " from " + x.Address
	}
	text += ", after " + strings.Join(x.FirstFactors, " and ")
	if x.Key != "" {
		text += " " + x.Key
	}
	return text
}

func pamText(x wire.Explanation) string {
	switch x.Result {
	case wire.ResultAsk:
		return x.PAM + " after a right code"
	case wire.ResultEnroll:
		return x.PAM + " once it is set up"
	case wire.ResultLetIn:
		return x.PAM + ", or PAM_SUCCESS with exempt=success"
	}
	return x.PAM
}

func methodText(ms []mfa.Method) string {
	var words []string
	for _, m := range ms {
		words = append(words, string(m))
	}
	if words == nil {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

func yesNo(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}
