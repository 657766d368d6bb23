package wire

// MaxContactLines is how many lines one Contacts has at most.
const MaxContactLines = 100

// Contacts are lines of a list that says where the codes of users go.
type Contacts struct {
	Lines   []ContactLine `json:"lines"`
	Replace bool          `json:"replace,omitempty"` // also in the place of what a user has confirmed
	DryRun  bool          `json:"dry_run,omitempty"` // change nothing, only say what would be
}

// A ContactLine is one user. An address or a number that is empty stays as it is.
type ContactLine struct {
	User  string `json:"user"`
	Email string `json:"email,omitempty"`
	Phone string `json:"phone,omitempty"`
}

// ContactsSet says what became of Contacts, line by line in their order.
type ContactsSet struct {
	Lines []ContactSet `json:"lines"`
}

// A ContactSet says what became of a ContactLine, or would.
type ContactSet struct {
	User   string `json:"user"`             // the canonical name
	Email  string `json:"email,omitempty"`  // one of ImportedNew and its like; empty: no address was given
	Phone  string `json:"phone,omitempty"`  // the same for the number
	Chosen bool   `json:"chosen,omitempty"` // the user had chosen to have no second factor
	Error  string `json:"error,omitempty"`  // why nothing became of it
}

// Changes says whether anything became of the line, or would.
func (c ContactSet) Changes() bool {
	return changes(c.Email) || changes(c.Phone)
}

func changes(result string) bool { return result == ImportedNew || result == ImportedReplaced }
