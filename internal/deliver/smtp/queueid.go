package smtp

import "regexp"

// queueIDs find the name of a message in the answers of relays that took it:
// "Ok: queued as 4ABC", "OK id=1sXy12-0000001-AB", "4ABC Message accepted for
// delivery".
var queueIDs = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\bqueued as ([\w.-]{1,64})`),
	regexp.MustCompile(`(?i)\bid=([\w.-]{1,64})`),
	regexp.MustCompile(`(?i)([\w.-]{1,64}) Message accepted for delivery`),
}

// queueID returns the relay's name of a message it took with these words, or
// nothing.
func queueID(said string) string {
	for _, re := range queueIDs {
		if m := re.FindStringSubmatch(said); m != nil {
			return m[1]
		}
	}
	return ""
}
