package mfa

// A login in one line has the code behind the password: its application asks one
// hidden question and no more. The module cuts the line, has the password checked, and
// then holds what stood behind it. Nothing is asked in such a login.

// Words of Request.Held.
const (
	HeldAnswer  = "answer"  // the module answers the first prompt with what stood behind the password
	HeldNothing = "nothing" // the password came alone
)

// OneLine says whether the login is one in which nothing can be asked.
func (r Request) OneLine() bool { return r.Held != "" }

// An Ending is what may stand behind a password in one line: a word, or a number of
// symbols with blanks and dashes between them. Letters may be of either case.
type Ending struct {
	Word    string // behind a comma; else empty
	Symbols int    // how many
	Of      string // the symbols there are, in lower case
	Comma   bool   // they stand behind a comma
	Grouped bool   // at least one blank or dash is between them
}

// Digits is the Ending of n digits, right behind the password.
func Digits(n int) Ending { return Ending{Symbols: n, Of: "0123456789"} }
