package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"mfa/internal/audit"
	"mfa/internal/mfa"
)

// A reckoning holds what clients saw against the audit file.
type reckoning struct {
	seen    map[string]int // how visits ended, by outcome if a verdict was heard
	written map[string]int // lines of logins, by outcome
	stories map[string]int
	visits  int
	waited  int      // logins that mfad refused while the machine stalled
	gaveUp  int      // verbs of mfactl and samples that did not wait for mfad meanwhile
	unheard int      // lines of logins whose client was cut off or went away
	wrong   int      // wrong codes, as clients heard
	counted int      // wrong codes, as the audit file has them
	faults  []string // what does not agree, or must not be

	lines  map[int64]string // outcome by visit
	wrote  map[string]int   // wrong codes in the audit file by user
	heard  map[string]int   // wrong codes that clients heard of by user
	shaky  map[string]bool  // users of whom a client may not have heard all
	kills  []span           // mfad was killed and is down
	stalls []span           // the machine could not do what it is for
}

// gaveUp is what mfactl says when it heard nothing for 10 seconds, or for half a minute.
const gaveUp = "mfad says nothing more"

// A trouble is an event that has a fault.
type trouble struct {
	event
	span
}

// A span is a time in which something went on.
type span struct{ from, to time.Time }

// patient is how long mfad waits for a write before it refuses. Later a code may have
// expired, and then the login has.
const patient = 10 * time.Second

// slack is how long mfad may take to notice that a client went away.
const slack = 2 * time.Second

// reckon reads what a run left in a folder.
func reckon(dir string, began time.Time) (*reckoning, error) {
	r := &reckoning{
		seen: map[string]int{}, written: map[string]int{}, stories: map[string]int{}, lines: map[int64]string{},
		wrote: map[string]int{}, heard: map[string]int{}, shaky: map[string]bool{},
	}
	parts, err := filepath.Glob(filepath.Join(dir, "audit-*.jsonl"))
	if err != nil {
		return nil, err
	}
	for _, part := range append(parts, filepath.Join(dir, "disk/audit/audit.jsonl")) {
		if err := each(part, r.line); err != nil && !errors.Is(err, os.ErrNotExist) { // it was moved away last
			return nil, err
		}
	}
	var troubles []trouble
	err = each(filepath.Join(dir, "events.jsonl"), func(e event) {
		at := began.Add(time.Duration(e.At * float64(time.Second)))
		during := span{at, at.Add(time.Duration(e.Took * float64(time.Second)))}
		switch {
		case e.What == "kill":
			r.kills = append(r.kills, during)
		case e.What == stall:
			r.stalls = append(r.stalls, during)
		case e.Fault != "" && !strings.Contains(e.Fault, "is not enrolled"): // a newcomer, who comes and goes
			troubles = append(troubles, trouble{e, during})
		}
	})
	for _, t := range troubles {
		if (strings.Contains(t.Fault, gaveUp) || strings.Contains(t.Fault, metricsAt)) && t.within(r.stalls, slack) {
			r.gaveUp++
			continue
		}
		r.fault("%s: %s", t.What, strings.TrimSpace(t.Fault))
	}
	if err == nil {
		err = each(filepath.Join(dir, "logins.jsonl"), r.visit)
	}
	r.finish()
	return r, err
}

// each calls do with each line of a file.
func each[T any](name string, do func(T)) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	for dec := json.NewDecoder(bufio.NewReader(f)); ; {
		var v T
		switch err := dec.Decode(&v); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read %s: %w", name, err)
		}
		do(v)
	}
}

func (r *reckoning) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

// line takes a line of the audit file.
func (r *reckoning) line(ev mfa.Event) {
	switch ev.Event {
	case audit.Failed:
		r.counted++
		r.wrote[ev.User]++
	case audit.RecoveryFailed:
		r.counted++
		r.wrote[ev.User]++
		r.shaky[ev.User] = true // the third of a login is not told of
	case audit.Login:
		r.written[ev.Outcome]++
		number, ours := strings.CutPrefix(ev.TTY, terminal)
		n, err := strconv.ParseInt(number, 10, 64)
		if !ours || err != nil {
			r.fault("the audit file has a login that nobody made: %s, %s", ev.Outcome, ev.Reason)
			return
		}
		if r.lines[n] != "" {
			r.fault("login %d has two lines: %s and %s", n, r.lines[n], ev.Outcome)
		}
		r.lines[n] = ev.Outcome
	}
}

// visit takes a login as its client saw it.
func (r *reckoning) visit(v visit) {
	r.visits++
	r.stories[v.Story]++
	r.wrong += v.Wrong
	r.heard[v.User] += v.Wrong
	outcome := r.lines[v.N]
	delete(r.lines, v.N)
	if v.End == done {
		r.seen[v.Outcome]++
	} else {
		r.seen[v.End]++
		r.shaky[v.User] = true
		if outcome != "" {
			r.unheard++
		}
	}
	r.look(&v, outcome)
}

// look takes a visit whose line has an outcome; "" if there is none.
func (r *reckoning) look(v *visit, outcome string) {
	switch {
	case v.Strange != "" && !v.letIn() && v.Took >= patient && v.within(r.stalls, slack):
		r.waited++
	case v.Strange != "":
		r.fault("login %d of %s (%s): %s: %s %s, after %q", v.N, v.User, v.Story, v.Strange, v.End, v.Outcome, v.Said)
	}
	r.compare(v, outcome)
}

// compare compares how a visit ended for its client with the outcome that its line has.
func (r *reckoning) compare(v *visit, outcome string) {
	opened := outcome == mfa.Accepted.String() || outcome == mfa.Exempt.String()
	switch {
	case v.End == done && outcome != v.Outcome:
		r.fault("login %d of %s ended with %s, and the audit file has %q", v.N, v.User, v.Outcome, outcome)
	case v.End == unreached && outcome != "":
		r.fault("login %d of %s never reached mfad, and the audit file has %s", v.N, v.User, outcome)
	case v.End == left && opened:
		r.fault("login %d of %s went away, and the audit file has %s", v.N, v.User, outcome)
	case v.End == left && outcome == "" && !v.within(r.kills, slack):
		r.fault("login %d of %s went away, and the audit file does not know", v.N, v.User)
	}
}

// within says whether a visit, or the time after it, has part in any of some spans.
func (v *visit) within(all []span, after time.Duration) bool {
	return span{v.Began, v.Began.Add(v.Took)}.within(all, after)
}

// within says whether a span, or the time after it, has part in any of some others.
func (s span) within(all []span, after time.Duration) bool {
	return slices.ContainsFunc(all, func(other span) bool { return s.from.Before(other.to) && s.to.Add(after).After(other.from) })
}

// finish looks at what is left when all was taken.
func (r *reckoning) finish() {
	for n, outcome := range r.lines {
		r.fault("the audit file has a login %d that no client knows: %s", n, outcome)
	}
	for user, n := range r.heard {
		if wrote := r.wrote[user]; wrote < n || wrote > n && !r.shaky[user] {
			r.fault("%s heard of %d wrong codes, and the audit file has %d", user, n, wrote)
		}
	}
}
