package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// A pkg is one package under test.
type pkg struct {
	name  string
	own   strings.Builder // what it said outside of tests
	order []string        // tests as they began
	tests map[string]*test
	ended bool
}

// A test is a test or a subtest.
type test struct {
	said  strings.Builder
	ended string // the event that ended it
}

// complaint is a line in which a test says what is wrong, unless it is the title of something
// longer, which begins with dashes: what a log or a terminal showed.
var complaint = regexp.MustCompile(`^ *[\w.-]+\.go:\d+: [^-]|^panic: |^WARNING: DATA RACE`)

// why returns the last line in which a test says what is wrong: those before may tell how it went.
func (t *test) why() (last string) {
	for line := range strings.Lines(t.said.String()) {
		if complaint.MatchString(line) {
			last = strings.TrimSpace(line)
		}
	}
	return last
}

// take takes one event of a package.
func (r *run) take(p *pkg, e event) {
	if e.Test == "" {
		switch e.Action {
		case "output":
			p.own.WriteString(e.Output)
		case "pass", "fail", "skip":
			r.endPackage(p, e)
		}
		return
	}
	t := p.tests[e.Test]
	if t == nil {
		t = &test{}
		p.tests[e.Test] = t
		p.order = append(p.order, e.Test)
	}
	switch e.Action {
	case "output":
		t.said.WriteString(e.Output)
	case "pass", "fail", "skip":
		t.ended = e.Action
		r.endTest(p, e)
	}
}

// endTest counts a test that ended, and shows all that one said that failed as soon
// as its last subtest is done.
func (r *run) endTest(p *pkg, e event) {
	switch e.Action {
	case "pass":
		r.passed++
		if e.Elapsed >= 1 && !strings.Contains(e.Test, "/") {
			r.slow = append(r.slow, timed{p.name, e.Test, e.Elapsed})
		}
	case "skip":
		r.skipped = append(r.skipped, failure{where: p.name, what: e.Test})
	case "fail":
		if !p.failedWithin(e.Test) {
			r.failed = append(r.failed, failure{p.name, e.Test, p.tests[e.Test].why()})
		}
	}
	if e.Action == "fail" && !strings.Contains(e.Test, "/") {
		r.show(p, func(name string) bool { return name == e.Test || strings.HasPrefix(name, e.Test+"/") })
	}
}

// failedWithin tells whether a subtest of a test failed, which is then the one to name.
func (p *pkg) failedWithin(name string) bool {
	return slices.ContainsFunc(p.order, func(sub string) bool {
		return strings.HasPrefix(sub, name+"/") && p.tests[sub].ended == "fail"
	})
}

// show writes what tests said that did not pass, once.
func (r *run) show(p *pkg, which func(name string) bool) {
	for _, name := range p.order {
		if t := p.tests[name]; which(name) && t.ended != "pass" && t.ended != "skip" {
			_, _ = io.WriteString(r.out, t.said.String())
			t.said.Reset()
		}
	}
}

// endPackage closes a package as go test does. Of one that failed it also shows what
// it said outside of tests, and what the tests said that never ended.
func (r *run) endPackage(p *pkg, e event) {
	p.ended = true
	if e.Action != "fail" {
		for line := range strings.Lines(p.own.String()) {
			if closing(line) {
				_, _ = io.WriteString(r.out, line)
			}
		}
		return
	}
	named := slices.ContainsFunc(r.failed, func(f failure) bool { return f.where == p.name })
	for _, name := range p.order {
		if p.tests[name].ended == "" {
			r.failed = append(r.failed, failure{p.name, name + " (never ended)", p.tests[name].why()})
			named = true
		}
	}
	r.show(p, func(string) bool { return true })
	_, _ = io.WriteString(r.out, p.own.String())
	if !named {
		r.failed = append(r.failed, failure{where: p.name, what: "the package: what it said is above"})
	}
	if !strings.Contains(p.own.String(), "FAIL\t") {
		_, _ = fmt.Fprintf(r.out, "FAIL\t%s\t%.3fs\n", p.name, e.Elapsed)
	}
}

// closing tells whether a line is one that go test closes a package with.
func closing(line string) bool {
	for _, begin := range []string{"ok  \t", "?   \t", "FAIL\t", "\t"} {
		if strings.HasPrefix(line, begin) {
			return true
		}
	}
	return strings.Contains(line, "no test") || strings.Contains(line, "coverage:")
}
