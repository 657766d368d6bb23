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
