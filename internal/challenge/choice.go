package challenge

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"mfa/internal/mfa"
	"mfa/internal/text"
)

// EndChoice is how a menu ends. Programs wait for it.
const EndChoice = "Choice [1]: "

// Choose shows a menu, whose texts are in the language of the person already, and returns the index chosen, from 0. If star is not empty it is
// shown below, and the person may put a * behind the number, for "and from now on". An
// empty line chooses the first. The errors are those of Entry.
func (c *Conversation) Choose(ctx context.Context, title string, items []string, star string) (chosen int, starred bool, err error) {
	chosen, starred, _, err = c.ChooseOrKey(ctx, title, items, star, "", "")
	return chosen, starred, err
}

// ChooseOrKey is Choose with a key that leaves the menu; keyText explains it. There is no
// such key if it is empty.
func (c *Conversation) ChooseOrKey(ctx context.Context, title string, items []string, star, key, keyText string) (chosen int, starred, keyed bool, err error) {
	var b strings.Builder
	b.WriteString(title)
	for i, item := range items {
		fmt.Fprintf(&b, "\n  %d  %s", i+1, item)
	}
	if star != "" {
		b.WriteString("\n" + star)
	}
	if key != "" {
		b.WriteString("\n" + keyText)
	}
	menu := b.String() + "\n" + c.Words(EndChoice)
	told := menu
	for {
		answer, err := c.Entry(ctx, mfa.Ask, told)
		if err != nil {
			return 0, false, false, err
		}
		answer = text.Key(answer)
		if key != "" && strings.EqualFold(answer, key) {
			return 0, false, true, nil
		}
		number, starred := strings.CutSuffix(answer, "*")
		number = strings.TrimSpace(number)
		if number == "" {
			number = "1"
		}
		if n, err := strconv.Atoi(number); err == nil && n >= 1 && n <= len(items) && (!starred || star != "") {
			return n - 1, starred, false, nil
		}
		told = c.Words("Type a number from 1 to %d.", len(items)) + "\n" + menu
	}
}
