package pamstack

import (
	"bytes"
	"strings"
)

// A logical is a line as libpam sees it: without its comment, and with the lines
// joined that end in a backslash.
type logical struct {
	text string
	num  int // of its first line
}

// lines divides a file. It reports false if libpam does not get to its end, as when
// the last line is to be continued: it then gives the whole file up.
func (ed edition) lines(data string) (lines []logical, whole bool) {
	if ed == before160 {
		return linesBefore160(data)
	}
	return linesSince160(data)
}

// linesSince160 follows _pam_line_assemble: an empty line, or one that is all
// comment, ends a line that was to be continued.
func linesSince160(data string) (lines []logical, whole bool) {
	var joined []byte
	num, first := 0, 0
	open := false // between a backslash and what follows
	for text := range strings.Lines(data) {
		if num++; !open {
			joined, first = nil, num
		}
		more := false
		text, more = cutBackslash(text)
		before, _, comment := strings.Cut(cString(text), "#")
		start := strings.TrimLeft(before, " \t")
		if comment {
			text, more = start, false
		} else {
			text = text[len(before)-len(start):]
		}
		if open = more; more {
			joined = append(joined, text...)
			continue
		}
		if len(joined) > 0 || start != "" && start[0] != '\n' {
			joined = append(joined, text...)
		}
		if s := cString(string(joined)); s != "" {
			lines = append(lines, logical{s, first})
		}
	}
	return lines, !open
}

// cutBackslash takes off the backslash that continues a line and what is blank
// behind it. A blank comes in its place.
func cutBackslash(text string) (string, bool) {
	short := strings.TrimRight(text, blanks)
	if short, more := strings.CutSuffix(short, `\`); more {
		return short + " ", true
	}
	return text, false
}

// cString returns what C sees of a text: it ends with the first NUL.
func cString(text string) string {
	text, _, _ = strings.Cut(text, "\x00")
	return text
}

// bufferSize is what libpam before 1.6.0 had for a line.
const bufferSize = 1024

// linesBefore160 follows _pam_assemble_line: empty lines and comments between a
// backslash and what follows are passed over, what is too long for the buffer counts
// as the next line, and a line that is continued beyond it ends all.
func linesBefore160(data string) (lines []logical, whole bool) {
	rest := []byte(data)
	var joined []byte
	used := false // between a backslash and what follows
	for num, first, begins := 0, 0, true; len(rest) > 0; {
		room := bufferSize - 1 - len(joined)
		if room < 1 {
			return lines, false
		}
		n := min(len(rest), room)
		if at := bytes.IndexByte(rest[:n], '\n'); at >= 0 {
			n = at + 1
		}
		if begins {
			num++
		}
		begins = rest[n-1] == '\n'
		text := cString(string(rest[:n]))
		rest = rest[n:]
		start := strings.TrimLeft(text, blanks)
		if start == "" || start[0] == '#' {
			continue
		}
		if !used {
			first = num
		}
		text, _, comment := strings.Cut(text, "#")
		short, more := cutBackslash(text)
		if comment || !more {
			lines = append(lines, logical{string(joined) + text, first})
			joined, used = nil, false
			continue
		}
		joined, used = append(joined, short...), true
	}
	return lines, !used
}
