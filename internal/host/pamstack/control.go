package pamstack

import (
	"fmt"
	"strings"
)

// A controlError says why a bracketed control field cannot be read.
type controlError struct{ expected, at string }

func (e controlError) Error() string {
	return fmt.Sprintf("expected %s at %q", e.expected, e.at)
}

// parse reads what stands within the brackets: "success=2 default=ignore". On an
// error every code is a failure, as for libpam.
func (a *actions) parse(text string, ed edition) error {
	for {
		if text = trimSpace(text); text == "" {
			return nil
		}
		if err := a.parsePair(&text, ed); err != nil {
			*a = allBad()
			return err
		}
	}
}

// parsePair takes one "code=action" off the text. Names match by their beginning,
// so that no space is needed behind an action.
func (a *actions) parsePair(text *string, ed edition) error {
	code, rest, found := codes, *text, false
	for i, name := range codeNames {
		if rest, found = strings.CutPrefix(*text, name); found {
			code = i
			break
		}
	}
	if !found {
		rest, found = strings.CutPrefix(*text, "default")
	}
	if !found || rest == "" {
		return controlError{"the name of a code", *text}
	}
	rest, found = strings.CutPrefix(trimSpace(rest), "=")
	if !found {
		return controlError{"=", *text}
	}
	act, rest, err := parseAction(trimSpace(rest), ed)
	if err != nil {
		return err
	}
	if code == codes {
		a.fill(act)
	} else {
		a[code] = act
	}
	*text = rest
	return nil
}

func parseAction(text string, ed edition) (action, string, error) {
	for i, name := range actionNames {
		if rest, ok := strings.CutPrefix(text, name); ok {
			return -action(i), rest, nil
		}
	}
	digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
	n, err := ed.jump(text[:digits])
	if err != nil || n == 0 {
		return 0, "", controlError{"an action or a jump above 0", text}
	}
	return n, text[digits:], nil
}

// trimSpace takes off what isspace(3) does in the C locale.
func trimSpace(s string) string { return strings.TrimLeft(s, " \t\n\v\f\r") }
