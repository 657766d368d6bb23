package pamstack

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxStates bounds the search; real stacks have some hundreds.
const maxStates = 300_000

// ErrTooComplex means that a stack has more ways through it than can be looked at.
var ErrTooComplex = errors.New("too many ways through the stack")

// FirstFactor is the result of the first factors on a way.
type FirstFactor uint8

// The results of first factors.
const (
	NotAsked FirstFactor = iota
	Wrong                // none was right
	Right                // at least one was
)

// A Step is one line that ran and what it answered.
type Step struct {
	Line   Line
	Answer Code
}

// A Way is one way through an auth stack, from the first line to what the
// application gets.
type Way struct {
	Result     Code
	First      FirstFactor
	Asked      int         // how often pam_mfa ran, at most 2
	Second     Code        // the worst pam_mfa answered, if it ran
	FirstAtMFA FirstFactor // First when pam_mfa ran first
	Steps      []Step      // all that ran
	conditions string
	right      string
}

// In reports whether the application lets the user in.
func (w Way) In() bool { return w.Result == Success }

// Refused reports whether pam_mfa refused.
func (w Way) Refused() bool { return w.Asked > 0 && slices.Contains(Refusals, w.Second) }

// Conditions returns the steps of modules with the role Condition.
func (w Way) Conditions() []Step {
	var found []Step
	for _, s := range w.Steps {
		if RoleOf(s.Line) == Condition {
			found = append(found, s)
		}
	}
	return found
}

// SameCase reports whether both ways are possible for the same user in the same place: no
// condition has different answers on them.
func (w Way) SameCase(other Way) bool {
	answers := map[string]Code{}
	for _, s := range w.Conditions() {
		answers[s.Line.Place()] = s.Answer
	}
	for _, s := range other.Conditions() {
		if a, ok := answers[s.Line.Place()]; ok && a != s.Answer {
			return false
		}
	}
	return true
}

// String returns the way for people: "pam_unix success, pam_mfa auth_err".
func (w Way) String() string {
	var b strings.Builder
	for i, s := range w.Steps {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %s", strings.TrimSuffix(s.Line.Base(), ".so"), s.Answer)
	}
	return b.String()
}

// A state is a point of the search. Two ways that meet in one go on alike.
type state struct {
	walk
	first, firstAtMFA FirstFactor
	asked             uint8
	second            Code
	conditions        string
	right             string // the first factors that were
}

// A node is a state and the step that led to it.
type node struct {
	state
	parent *node
	line   int // that ran last
	answer Code
}

// Explore returns ways through an auth stack, one for each different outcome:
// result, first factors, second factor, conditions. missing reports whether the file of
// a line's module is not there; it may be nil. The error is ErrTooComplex.
func Explore(lines []Line, missing func(Line) bool) ([]Way, error) {
	queue := []*node{{state: state{walk: start(lines)}, line: -1}}
	seen := map[state]bool{queue[0].state: true}
	ends := map[string]bool{}
	var ways []Way
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		if n.done(lines) {
			if w := n.way(lines); !ends[w.key()] {
				ends[w.key()] = true
				ways = append(ways, w)
			}
			continue
		}
		for _, answer := range answersOf(lines[n.at], missing) {
			next := n.after(lines, answer)
			if !seen[next.state] {
				seen[next.state] = true
				queue = append(queue, next)
			}
		}
		if len(seen) > maxStates {
			return nil, ErrTooComplex
		}
	}
	return ways, nil
}

// answersOf returns what a line may answer.
func answersOf(l Line, missing func(Line) bool) []Code {
	switch {
	case l.Broken != "":
		return []Code{mustFail}
	case missing != nil && missing(l):
		return []Code{ModuleUnknown}
	}
	return moduleOf(l).answers
}

// after returns the node that an answer leads to.
func (n *node) after(lines []Line, answer Code) *node {
	line := lines[n.at]
	next := &node{state: n.state, parent: n, line: n.at, answer: answer}
	if answer != ModuleUnknown && line.Broken == "" {
		next.note(line, answer)
	}
	next.next(lines, answer)
	return next
}

// note keeps what an answer says about the login.
func (s *state) note(line Line, answer Code) {
	switch moduleOf(line).role {
	case Factor:
		if answer == Success {
			s.first = Right
			s.right += line.Base() + " "
		} else if s.first == NotAsked && answer != Ignore {
			s.first = Wrong
		}
	case Second:
		if s.asked == 0 {
			s.firstAtMFA = s.first
		}
		if s.asked == 0 || slices.Contains(Refusals, answer) {
			s.second = answer
		}
		s.asked = min(2, s.asked+1)
	case Condition:
		s.conditions += fmt.Sprintf("%s=%v ", line.Place(), answer)
	case Neutral:
	}
}

// way returns the Way that leads to n.
func (n *node) way(lines []Line) Way {
	w := Way{
		Result: n.result(), First: n.first, Asked: int(n.asked), Second: n.second,
		FirstAtMFA: n.firstAtMFA, conditions: n.conditions, right: n.right,
	}
	for at := n; at.parent != nil; at = at.parent {
		w.Steps = append(w.Steps, Step{lines[at.line], at.answer})
	}
	slices.Reverse(w.Steps)
	return w
}

// key is what makes two ways the same.
func (w Way) key() string {
	return fmt.Sprint(w.Result, w.First, w.Asked, w.Second, w.FirstAtMFA, w.conditions, w.right)
}
