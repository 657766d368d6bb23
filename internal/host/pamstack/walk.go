package pamstack

// Impressions of a stack so far.
const (
	undecided int8 = iota
	positive
	negative
)

// A saved is what a stack returns to when a substack is reset.
type saved struct {
	impression int8
	status     Code
}

// A walk is a point on the way through a stack. It can be compared.
type walk struct {
	saved
	at    int // line to be run next
	level int // of the line that ran last
	outer [maxDepth + 1]saved
}

// start returns the beginning of a stack.
func start(lines []Line) walk {
	w := walk{saved: saved{undecided, mustFail}}
	w.outer[0] = w.saved
	w.pass(lines)
	return w
}

// pass goes over lines that run nothing.
func (w *walk) pass(lines []Line) {
	for w.at < len(lines) && lines[w.at].substack {
		w.enter(lines[w.at])
		w.level = lines[w.at].level
		w.at++
	}
	if w.at < len(lines) {
		w.enter(lines[w.at])
	}
}

// enter keeps the state before a substack.
func (w *walk) enter(l Line) {
	if w.level < l.level {
		w.outer[l.level] = w.saved
	}
}

// done says whether the stack has ended.
func (w *walk) done(lines []Line) bool { return w.at >= len(lines) }

// result is what the stack returns, once done.
func (w *walk) result() Code {
	if w.status == Success && w.impression != positive {
		return mustFail
	}
	return w.status
}

// next takes the answer of the line at hand and goes to the next one that runs.
func (w *walk) next(lines []Line, answer Code) {
	line := lines[w.at]
	act := actBad
	if answer < codes {
		act = line.actions[answer]
	} else {
		answer = mustFail
	}
	here := w.at
	switch {
	case act == actReset:
		w.saved = w.outer[line.level]
	case act == actOK, act == actDone:
		if w.impression == undecided || w.impression == positive && w.status == Success {
			w.saved = saved{positive, answer}
		}
		if act == actDone && w.impression == positive {
			here = lastOf(lines, here, line.level)
		}
	case act == actBad, act == actDie:
		if w.impression != negative {
			w.saved = saved{negative, answer}
			if answer == Ignore {
				w.status = mustFail
			}
		}
		if act == actDie {
			here = lastOf(lines, here, line.level)
		}
	case act != actIgnore:
		var left action
		if here, left = jump(lines, here, line.level, act); left != 0 {
			w.saved = saved{negative, mustFail} // "bad jump in stack"
		}
	}
	w.level = line.level
	w.at = here + 1
	w.pass(lines)
}

// lastOf returns the last line of the substack that the line at belongs to.
func lastOf(lines []Line, at, level int) int {
	for at+1 < len(lines) && lines[at+1].level >= level {
		at++
	}
	return at
}

// jump returns the last of n modules that are jumped over; a substack counts as
// one. left is how many were missing.
func jump(lines []Line, at, level int, n action) (last int, left action) {
	for n > 0 && at+1 < len(lines) && lines[at+1].level >= level {
		at++
		for at+1 < len(lines) && lines[at+1].level > level {
			at++
		}
		n--
	}
	return at, n
}

// Run walks a stack and returns the code that the application gets. Answer returns what
// the module of a line returns. A stack without lines is refused.
func Run(lines []Line, answer func(Line) Code) Code {
	w := start(lines)
	for !w.done(lines) {
		line := lines[w.at]
		code := mustFail
		if line.Broken == "" {
			code = answer(line)
		}
		w.next(lines, code)
	}
	return w.result()
}
