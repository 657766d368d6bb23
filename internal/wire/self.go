package wire

// Upgrade is the protocol that a client of PostSelf asks to switch to: the frames of the
// PAM socket without HELLO. So the prompts are those of a login.
const Upgrade = "mfa-conversation/1"

// The verbs of PostSelf. Each first has a second factor proven, if there is one.
const (
	SelfEnroll      = "enroll"
	SelfPrefer      = "prefer"   // with QueryMethod
	SelfLanguage    = "language" // with QueryLanguage
	SelfOptOut      = "opt-out"
	SelfBackupCodes = "backup-codes"
)
