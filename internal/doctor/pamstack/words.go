package pamstack

import "strings"

// blanks divide the words of a line.
const blanks = " \n\t"

// nextWord takes the first word off a line. "[...]" is one word, without its
// brackets; a "]" within it is written "\]". It reports false when none is left.
func nextWord(line string) (word, rest string, ok bool) {
	line = strings.TrimLeft(line, blanks)
	if line == "" {
		return "", "", false
	}
	if line[0] != '[' {
		end := strings.IndexAny(line, blanks)
		if end < 0 {
			return line, "", true
		}
		return line[:end], line[end+1:], true
	}
	var b strings.Builder
	i := 1
	for ; i < len(line) && line[i] != ']'; i++ {
		if line[i] == '\\' && i+1 < len(line) && line[i+1] == ']' {
			i++
		}
		b.WriteByte(line[i])
	}
	return b.String(), line[min(i+1, len(line)):], true
}

// words returns all words of a line.
func words(line string) []string {
	var all []string
	for {
		word, rest, ok := nextWord(line)
		if !ok {
			return all
		}
		all = append(all, word)
		line = rest
	}
}

// A logical is a line as libpam sees it: without its comment, and with the lines
// joined that end in a backslash.
type logical struct {
	text string
	num  int // of its first line
}

// logicalLines divides a file. It reports false if the last line of the file is to
// be continued, on which libpam gives the whole file up.
func logicalLines(data string) (lines []logical, whole bool) {
	var open *logical
	num := 0
	for text := range strings.Lines(data) {
		num++
		text, _, _ = strings.Cut(text, "\x00") // where C ends a string
		text = strings.TrimLeft(text, blanks)
		if text == "" || text[0] == '#' {
			continue // even between a backslash and what follows
		}
		text, _, comment := strings.Cut(text, "#")
		text = strings.TrimRight(text, blanks)
		joined, more := strings.CutSuffix(text, `\`)
		more = more && !comment
		if !more {
			joined = text
		}
		if open == nil {
			open = &logical{num: num}
		}
		open.text += joined + " "
		if !more {
			lines = append(lines, *open)
			open = nil
		}
	}
	return lines, open == nil
}
