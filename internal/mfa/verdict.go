package mfa

// An Outcome is how a login ended; the module turns it into a PAM code.
type Outcome uint8

// The outcomes. The zero value is a refusal.
const (
	Broken         Outcome = iota // protocol broken or a fault of ours
	Accepted                      // second factor proven
	Exempt                        // policy asks for none here
	WrongCode                     // a wrong code, and no further answer
	Exhausted                     // attempts used up, or locked
	MustEnroll                    // must enroll but may not here
	Unavailable                   // store out of reach, or too many logins
	NoConversation                // nobody answered
	NotAllowed                    // the program that asks may not ask for this user
	CodeSent                      // a code was sent, and nothing can be asked here: the next login carries it
)

var outcomeNames = [...]string{
	Broken: "broken", Accepted: "accepted", Exempt: "exempt", WrongCode: "wrong_code",
	Exhausted: "exhausted", MustEnroll: "must_enroll", Unavailable: "unavailable",
	NoConversation: "no_conversation", NotAllowed: "not_allowed",
	CodeSent: "code_sent",
}

// String returns the stable name used in logs and in the audit file.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "broken"
}

// A Verdict is the end of one login.
type Verdict struct {
	Outcome        Outcome
	Untried        bool   // exhausted, though no wrong code was typed in this login
	ChangePassword bool   // acct_mgmt shall demand a password change
	Method         Method // the method that decided, if one did
	Reason         string // for logs and audit; never a secret
}

// Refuses reports whether the verdict denies the login.
func (v Verdict) Refuses() bool { return v.Outcome != Accepted && v.Outcome != Exempt }
