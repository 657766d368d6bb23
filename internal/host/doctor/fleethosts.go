package doctor

import (
	"fmt"
	"slices"
	"strings"

	"mfa/internal/wire"
)

// How many seconds the clock of a host may be off from those of the others: codes of apps
// are good for 30, and as many before and after.
const (
	mayBeOff = 5
	tooFar   = 30
)

const mendClock = "timedatectl set-ntp true; or install chrony"

// hostsFindings says how many hosts there are, and whose clock is off. A clock is off if it
// is from that of most hosts; where there are two, nobody knows which of them.
func hostsFindings(f wire.Fleet) (found []Finding) {
	if f.HostsProblem != "" {
		return []Finding{{Warning, "fleet-hosts", "fleet", "the other hosts are not known: " + f.HostsProblem, "", "mfactl doctor, when etcd is well"}}
	}
	var others []wire.FleetHost
	var ahead []int
	for _, h := range f.Hosts {
		if h.Ahead != nil {
			others, ahead = append(others, h), append(ahead, *h.Ahead)
		}
	}
	const why = "Codes of apps are judged by the clock of the host where they are typed, and how long locks and logins last, too."
	if len(others) == 1 {
		if n := ahead[0]; abs(n) > mayBeOff {
			what := fmt.Sprintf("the clock of %s is %s that of this host", hostName(others[0]), off(n))
			found = append(found, Finding{severityOff(n), "fleet-clock", "clock", what, why, "on the one that is wrong: " + mendClock})
		}
		return append(found, seen(f))
	}
	ahead = append(ahead, 0) // this host
	slices.Sort(ahead)
	most := ahead[len(ahead)/2] // how far the clocks of most are ahead of this one
	if abs(most) > mayBeOff {
		what := fmt.Sprintf("is %s those of most hosts of the fleet", off(-most))
		found = append(found, Finding{severityOff(most), "fleet-clock", "clock", what, why, mendClock})
	}
	var wrong []string
	for _, h := range others {
		if n := *h.Ahead - most; abs(n) > mayBeOff {
			wrong = append(wrong, fmt.Sprintf("%s is %s the others", hostName(h), off(n)))
		}
	}
	if len(wrong) > 0 {
		what := strings.Join(wrong[:min(shown, len(wrong))], ", ")
		if more := len(wrong) - shown; more > 0 {
			what += fmt.Sprintf(", and %d more hosts are off", more)
		}
		found = append(found, Finding{Warning, "fleet-clock", "clocks of the fleet", what, why, "there: " + mendClock})
	}
	return append(found, seen(f))
}

// seen says how many hosts there are.
func seen(f wire.Fleet) Finding {
	known := 0
	for _, h := range f.Hosts {
		if h.Ahead != nil || h.Here {
			known++
		}
	}
	what := fmt.Sprintf("hosts seen within a day: %d; with a clock that is known: %d", len(f.Hosts), known)
	return Finding{Severity: OK, ID: "fleet-hosts", Where: "fleet", What: what}
}

func hostName(h wire.FleetHost) string {
	if h.Name == "" {
		return h.ID
	}
	return h.Name
}

// off writes how far a clock is ahead, for people.
func off(n int) string {
	if n < 0 {
		return fmt.Sprintf("%d s behind", -n)
	}
	return fmt.Sprintf("%d s ahead of", n)
}

func severityOff(n int) Severity {
	if abs(n) > tooFar {
		return Error
	}
	return Warning
}

func abs(n int) int { return max(n, -n) }
