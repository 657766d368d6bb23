// Package doctor finds out what PAM, sshd and the rest of the machine will really
// do with a login, and says what is wrong and how to mend it.
//
// What to know before trusting it: it only looks. It changes no file and sends no
// message. Its findings about PAM come from walking the stacks (package pamstack), those
// about sshd from "sshd -T", and neither from patterns in the text. Where it cannot look,
// that is a finding, too.
package doctor

import (
	"cmp"
	"slices"
)

// A Severity says how bad a finding is.
type Severity string

// The severities, from harmless to bad.
const (
	OK      Severity = "ok"
	Warning Severity = "warning"
	Error   Severity = "error"
)

// rank orders severities, the worst first.
func (s Severity) rank() int { return slices.Index([]Severity{Error, Warning, OK}, s) }

// A Finding is one result of an examination.
type Finding struct {
	Severity Severity `json:"severity"`
	ID       string   `json:"id"`             // stable, for programs
	Where    string   `json:"where"`          // a service, a file and line, a part of the machine
	What     string   `json:"what"`           // what was found
	Why      string   `json:"why,omitempty"`  // why it matters
	Mend     string   `json:"mend,omitempty"` // the line or command that mends it
}

// A Login says which factors a login of one service asks for.
type Login struct {
	Service string `json:"service"`
	Goes    string `json:"goes"`   // the factors, for people, one line
	Second  bool   `json:"second"` // whether pam_mfa is asked
}

// A Report is what doctor found.
type Report struct {
	Logins   []Login   `json:"logins"`
	Findings []Finding `json:"findings"` // the worst first
}

// Worst returns the severity of the worst finding, OK if there is none.
func (r Report) Worst() Severity {
	worst := OK
	for _, f := range r.Findings {
		if f.Severity.rank() < worst.rank() {
			worst = f.Severity
		}
	}
	return worst
}

// Count returns how many findings have a severity.
func (r Report) Count(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// sort puts the worst first and keeps the order otherwise.
func (r *Report) sort() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return cmp.Compare(a.Severity.rank(), b.Severity.rank()) })
}

// add adds findings, each once.
func (r *Report) add(found ...Finding) {
	for _, f := range found {
		if !slices.Contains(r.Findings, f) {
			r.Findings = append(r.Findings, f)
		}
	}
}
