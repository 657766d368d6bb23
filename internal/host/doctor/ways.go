package doctor

import (
	"fmt"
	"slices"
	"strings"

	"mfa/internal/host/pamstack"
)

// describe fills in Login.
func (e *examination) describe() {
	factors := e.factorsOf(e.good)
	e.Login.Second = len(e.good) > 0
	switch {
	case len(e.good) > 0 && factors == "":
		e.Login.Goes = "second factor (pam_mfa)"
	case len(e.good) > 0:
		e.Login.Goes = e.inOrder()
		if e.OneLine {
			e.Login.Goes = "in one line: " + e.Login.Goes
		}
	case !slices.ContainsFunc(e.ways, pamstack.Way.In):
		e.Login.Goes = "nobody gets in"
	case e.Asks:
		e.Login.Goes = "pam_mfa is there, but nobody has to prove both factors"
	default:
		e.Login.Goes = "no second factor"
		if factors = e.factorsOf(e.ways); factors != "" {
			e.Login.Goes = factors + "; no second factor"
		}
	}
	if e.Asks {
		if exempt := e.exemptCases(); len(exempt) > 0 {
			e.Login.Goes += "; not asked: " + strings.Join(exempt, "; ")
		}
	}
}

// inOrder names the factors in the order in which the good ways ask for them.
func (e *examination) inOrder() string {
	const second = "second factor (pam_mfa)"
	var before, after []pamstack.Way
	for _, w := range e.good {
		if e.secondFirst(w) {
			after = append(after, w)
		} else {
			before = append(before, w)
		}
	}
	var said []string
	if factors := e.factorsOf(before); factors != "" {
		said = append(said, factors+", then "+second)
	}
	if factors := e.factorsOf(after); factors != "" {
		said = append(said, second+", then "+factors)
	}
	return strings.Join(said, "; or ")
}

// secondFirst reports whether pam_mfa runs on a way before any first factor that was
// right.
func (e *examination) secondFirst(w pamstack.Way) bool {
	for _, s := range w.Steps {
		switch role := pamstack.RoleOf(s.Line); {
		case role == pamstack.Second:
			return true
		case role == pamstack.Factor && s.Answer == pamstack.Success:
			return false
		}
	}
	return false
}

// factorsOf names the first factors with which somebody gets in.
func (e *examination) factorsOf(ways []pamstack.Way) string {
	var found []string
	for _, w := range ways {
		if !w.In() {
			continue
		}
		for _, s := range w.Steps {
			if pamstack.RoleOf(s.Line) == pamstack.Factor && s.Answer == pamstack.Success {
				if name := factorName(s.Line); !slices.Contains(found, name) {
					found = append(found, name)
				}
			}
		}
	}
	return strings.Join(found, " or ")
}

func factorName(l pamstack.Line) string {
	name := strings.TrimSuffix(l.Base(), ".so")
	if isKeyLine(l) {
		return "SSH key"
	}
	switch name {
	case "pam_unix", "pam_sss", "pam_ldap", "pam_krb5", "pam_winbind":
		return "password (" + name + ")"
	case "pam_fprintd":
		return "fingerprint (" + name + ")"
	}
	return name
}

// exemptCases names the conditions under which nobody is asked, as far as they
// are the administrator's choice.
func (e *examination) exemptCases() []string {
	var found []string
	for _, w := range e.ways {
		if !w.In() || w.Asked > 0 || e.sameCase(w) || !vouched(w) {
			continue
		}
		for _, s := range w.Conditions() {
			if s.Answer == pamstack.Success && !slices.Contains(found, condition(s.Line)) {
				found = append(found, condition(s.Line))
			}
		}
	}
	return found
}

// condition names a condition for people.
func condition(l pamstack.Line) string {
	text := strings.TrimSuffix(l.Base(), ".so")
	if text == "pam_rootok" {
		return "root (pam_rootok)"
	}
	return strings.TrimSpace(text + " " + strings.Join(l.Args, " "))
}

// refusals: a user whom pam_mfa refused must not get in.
func (e *examination) refusals() {
	var codes []string
	onlyAbsent := true
	var line pamstack.Line
	for _, w := range e.ways {
		if !w.In() || !w.Refused() {
			continue
		}
		onlyAbsent = onlyAbsent && w.Second == pamstack.AuthinfoUnavail
		if name := w.Second.String(); !slices.Contains(codes, name) {
			codes = append(codes, name)
		}
		line = e.second(w)
	}
	switch {
	case len(codes) == 0:
	case onlyAbsent:
		e.add(Warning, "fail-open", fmt.Sprintf("%s: %q lets in while mfad cannot be asked", line.Place(), line.Control),
			"Whoever can stop mfad, or fill its disk, needs no second factor.",
			"auth     required   pam_mfa.so")
	default:
		e.add(Error, "refusal-ignored",
			fmt.Sprintf("%s: %q lets in users whom pam_mfa refuses with %s", line.Place(), line.Control, strings.Join(codes, ", ")),
			"A wrong code is as good as a right one.", "auth     required   pam_mfa.so")
	}
}

// second returns the line of pam_mfa on a way.
func (e *examination) second(w pamstack.Way) pamstack.Line {
	for _, s := range w.Steps {
		if pamstack.RoleOf(s.Line) == pamstack.Second {
			return s.Line
		}
	}
	return pamstack.Line{}
}

// bypass: a right first factor must not get in without pam_mfa, if the same user could
// have been asked.
func (e *examination) bypass() {
	for _, w := range e.ways {
		if w.In() && w.Asked == 0 && w.First == pamstack.Right && e.sameCase(w) {
			last := w.Steps[len(w.Steps)-1].Line
			e.add(Error, "mfa-bypassed",
				fmt.Sprintf("%s: %s %s ends the stack before pam_mfa is asked", last.Place(), last.Control, last.Base()),
				"The first factor alone lets in.",
				"include the file with substack in place of include, or write the line as [success=1 default=ignore] so that it jumps to pam_mfa")
			return
		}
	}
}

// replaced: the second factor must not get in without the first, if the same user has to
// prove the first as well.
func (e *examination) replaced() {
	if !e.Factors {
		return
	}
	for _, w := range e.ways {
		if w.In() && w.Asked > 0 && !w.Refused() && w.First != pamstack.Right && e.sameCase(w) {
			line := e.second(w)
			e.add(Error, "first-factor-replaced",
				fmt.Sprintf("%s: %s is let in without a right first factor (%s)", line.Place(), proven(w), w),
				"One factor is left where there should be two.",
				"make the line of the first factor requisite, and that of pam_mfa required, below it")
			return
		}
	}
}

func proven(w pamstack.Way) string {
	if w.Second == pamstack.Ignore {
		return "who needs no second factor"
	}
	return "who proves a second factor"
}

// openDoor: nobody may get in without any factor, unless an administrator wants it.
func (e *examination) openDoor() {
	for _, w := range e.ways {
		if !w.In() || w.Asked > 0 || w.First == pamstack.Right || e.chosen(w) {
			continue
		}
		e.add(Error, "open-door", fmt.Sprintf("somebody gets in without any factor (%s)", w),
			"Everybody who knows a user's name gets in.", "take the line out that lets them in, or put requisite pam_deny.so behind it")
		return
	}
}

// chosen reports whether an administrator wants a way without any factor: a condition
// vouches for the user.
func (e *examination) chosen(w pamstack.Way) bool { return vouched(w) && !e.sameCase(w) }

// vouching are modules whose success identifies the user, or says that they may get in.
var vouching = []string{"pam_rootok.so", "pam_wheel.so", "pam_timestamp.so", "pam_succeed_if.so", "pam_listfile.so", "pam_rhosts.so"}

func vouched(w pamstack.Way) bool {
	return slices.ContainsFunc(w.Conditions(), func(s pamstack.Step) bool {
		return s.Answer == pamstack.Success && slices.Contains(vouching, s.Line.Base())
	})
}

// reached: it must be possible to get in by both factors.
func (e *examination) reached() {
	asked := slices.ContainsFunc(e.ways, func(w pamstack.Way) bool { return w.Asked > 0 })
	switch {
	case !asked:
		e.add(Error, "mfa-unreached", "no login ever comes to pam_mfa", "Nobody is asked for a second factor.",
			"move the pam_mfa line below the line of the first factor")
	case !slices.ContainsFunc(e.ways, pamstack.Way.In):
		e.add(Error, "locked-out", "nobody gets in, whatever they prove", "Every login through this service is refused.",
			"make the line of the first factor requisite, and that of pam_mfa required, below it")
	}
}

// exempt: a user who needs no second factor must get in by the first.
func (e *examination) exempt() {
	if len(e.good) == 0 {
		return
	}
	possible := false
	for _, w := range e.ways {
		if w.Asked > 0 && w.Second == pamstack.Ignore && e.firstDone(w) {
			if w.In() {
				return
			}
			possible = true
		}
	}
	if possible {
		e.add(Warning, "exempt-refused", "users who need no second factor by policy are refused",
			"pam_mfa then says \"ignore\", and no other line says that the login is good.",
			"auth     required   pam_mfa.so exempt=success")
	}
}

// before: pam_mfa must not run without a right first factor.
func (e *examination) before() {
	if !e.Factors {
		return
	}
	for _, w := range e.ways {
		if w.Asked == 0 || w.FirstAtMFA == pamstack.Right || !e.sameCase(w) {
			continue
		}
		line := e.second(w)
		if w.FirstAtMFA == pamstack.NotAsked {
			if e.factorBefore(line) {
				continue // jumped over, or it had nothing to say
			}
			e.add(Error, "mfa-before-password", fmt.Sprintf("%s: pam_mfa is asked before the first factor", line.Place()),
				"Whoever knows a user's name can have codes sent, and lock the user's second factor.",
				"move the pam_mfa line below the line of the first factor")
			return
		}
		wrong := e.wrongFactor(w)
		e.add(Error, "wrong-password-reaches-mfa",
			fmt.Sprintf("%s: after a wrong first factor %s %s goes on to pam_mfa", wrong.Place(), wrong.Control, wrong.Base()),
			"Whoever knows a user's name can have codes sent, and lock the user's second factor.",
			"auth     requisite  "+strings.TrimSpace(wrong.Module+" "+strings.Join(wrong.Args, " ")))
		return
	}
}

// factorBefore reports whether a first factor stands above a line.
func (e *examination) factorBefore(line pamstack.Line) bool {
	for _, l := range e.lines {
		switch {
		case l.Place() == line.Place():
			return false
		case pamstack.RoleOf(l) == pamstack.Factor:
			return true
		}
	}
	return false
}

// wrongFactor returns the last first factor that ran before pam_mfa on a way.
func (e *examination) wrongFactor(w pamstack.Way) pamstack.Line {
	var last pamstack.Line
	for _, s := range w.Steps {
		switch pamstack.RoleOf(s.Line) {
		case pamstack.Factor:
			last = s.Line
		case pamstack.Second:
			return last
		case pamstack.Neutral, pamstack.Condition:
		}
	}
	return last
}

// twice: nobody should have to prove two second factors.
func (e *examination) twice() {
	if slices.ContainsFunc(e.good, func(w pamstack.Way) bool { return w.Asked > 1 }) {
		e.add(Warning, "mfa-twice", "a login comes to pam_mfa twice", "People are asked for two codes.",
			"take one of the pam_mfa lines out")
	}
}
