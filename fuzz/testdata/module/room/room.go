// Package room is what the tests of fuzz run a target of.
package room

// Read is reached by the target but for one statement.
func Read(text string) int {
	if len(text) > 1 && text[0] == 'a' {
		return 1
	}
	if len(text) > 3 && len(text) < 20 {
		return 5
	}
	if text == "which no mutation makes" {
		return 3
	}
	return 2
}

// Other is not reached.
func Other() int { return 4 }
