package doctor

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"mfa/internal/store"
	"mfa/internal/wire"
)

// isFleet says whether etcd keeps the store.
func (e *exam) isFleet() bool { return e.cfg.Store.Backend == store.BackendEtcd }

// fleet looks at what a host of a fleet has of its own, and at etcd and the other hosts by
// the eyes of the daemon.
func (e *exam) fleet(ctx context.Context) {
	if !e.known || !e.isFleet() {
		return
	}
	e.certificates()
	e.etcdSecrets()
	if e.status == nil || e.Fleet == nil {
		return
	}
	f, err := e.Fleet(ctx)
	if err != nil {
		e.add(Finding{Error, "fleet", "etcd", "mfad does not say how it is: " + err.Error(), "", "journalctl -u mfad"})
		return
	}
	e.add(FleetFindings(f, time.Now())...)
	e.endpoints(f)
}

// endpoints: a host that knows one of three members is out when that one is.
func (e *exam) endpoints(f wire.Fleet) {
	named, voters := len(e.cfg.Store.Etcd.Endpoints), len(votersOf(f))
	if named < voters {
		e.add(Finding{
			Warning, "fleet-endpoints", e.Config, fmt.Sprintf("store.etcd.endpoints names %d of %d members of etcd", named, voters),
			"While those are away nobody logs in here, though etcd is well.", "name all members in store.etcd.endpoints; systemctl restart mfad",
		})
	}
}

// votersOf returns the members whose votes count.
func votersOf(f wire.Fleet) (voters []wire.Member) {
	for _, m := range f.Members {
		if !m.Learner && !m.Foreign {
			voters = append(voters, m)
		}
	}
	return voters
}

// nameOf is what people call a member by.
func nameOf(m wire.Member) string {
	if m.Name == "" {
		return m.Endpoint
	}
	return m.Name
}

// FleetFindings judges what a daemon sees of its fleet.
func FleetFindings(f wire.Fleet, now time.Time) []Finding {
	found := membersFindings(f)
	for _, m := range f.Members {
		found = append(found, memberFindings(m, now)...)
	}
	switch {
	case !f.Led: // that is said, and all else follows from it
	case !f.Watched:
		found = append(found, Finding{
			Warning, "fleet-watch", "etcd", "what other hosts change does not arrive here by itself",
			"Logins go on, but each asks etcd for all that it reads.", "mfactl doctor in a minute; if it stays: journalctl -u mfad",
		})
	case f.Behind > mayBeBehind:
		found = append(found, Finding{
			Warning, "fleet-watch", "etcd", fmt.Sprintf("what other hosts change arrives here late: %d changes are missing", f.Behind),
			"Logins go on, and some take longer.", "look at the network to etcd, and at how busy its members are",
		})
	}
	if f.Partly != "" {
		found = append(found, Finding{OK, "fleet-members", "etcd", "there may be more members than were seen: " + f.Partly, "", ""})
	}
	return append(found, hostsFindings(f)...)
}

// mayBeBehind is how many entries of etcd's log a member or a watch may miss in good health.
const mayBeBehind = 5000

// membersFindings says how many members answer, and how many more may fail.
func membersFindings(f wire.Fleet) []Finding {
	voters := votersOf(f)
	var silent []string
	leader := "one that was not seen"
	for _, m := range voters {
		switch {
		case !m.Answers:
			silent = append(silent, fmt.Sprintf("%s (%s)", nameOf(m), m.Problem))
		case m.Leader:
			leader = nameOf(m)
		}
	}
	all, up := len(voters), len(voters)-len(silent)
	if all == 0 {
		return []Finding{{Error, "fleet-members", "etcd", "no member is known: " + f.Partly, refusesAway, "start etcd, or mend store.etcd in mfa.toml"}}
	}
	need := all/2 + 1
	what := fmt.Sprintf("%d of %s", up, memberCount(all))
	mend := "there: systemctl start etcd; journalctl -u etcd"
	away := "; not: " + strings.Join(silent, ", ")
	switch {
	case !f.Led:
		return []Finding{{
			Error, "fleet-members", "etcd", what + ", and there is no leader" + strings.TrimSuffix(away, "; not: "),
			fmt.Sprintf("%s Etcd works while %d of them are up and reach each other.", refusesAway, need), mend,
		}}
	case up < need:
		return []Finding{{
			Warning, "fleet-members", "etcd", what + " this host" + away,
			"They have a leader, but this host reaches too few of them: when it loses these, nobody logs in here.", "look at the network between this host and those; or " + mend,
		}}
	case up < all:
		return []Finding{{Warning, "fleet-members", "etcd", what + away, bears(up - need), mend}}
	case all == need:
		return []Finding{{Warning, "fleet-members", "etcd", what, bears(0), "three members, on three machines (docs/fleet.md)"}}
	case onOneMachine(voters):
		return []Finding{{Warning, "fleet-members", "etcd", what + ", all on one machine", "When that fails, nobody who is asked for a second factor can log in.", "three members, on three machines (docs/fleet.md)"}}
	}
	what += "; " + leader + " leads"
	return []Finding{{Severity: OK, ID: "fleet-members", Where: "etcd", What: what}}
}

const refusesAll = "Every login that needs a second factor is refused."

// refusesAway is refusesAll where etcd cannot be reached, or has no leader.
const refusesAway = `Every login that needs a second factor is refused, but those that store.etcd.offline = "totp" is for.`

func memberCount(n int) string {
	if n == 1 {
		return "1 member answers"
	}
	return fmt.Sprintf("%d members answer", n)
}

// bears says what happens when that many more members may fail.
func bears(more int) string {
	switch more {
	case 0:
		return "One more failure, and nobody who is asked for a second factor can log in."
	case 1:
		return "One more may fail; with two, nobody who is asked for a second factor can log in."
	}
	return fmt.Sprintf("%d more may fail; with one more than that, nobody who is asked for a second factor can log in.", more)
}

// onOneMachine says whether several members have one host name or address.
func onOneMachine(all []wire.Member) bool {
	var hosts []string
	for _, m := range all {
		u, err := url.Parse(m.Endpoint)
		if err != nil {
			return false
		}
		hosts = append(hosts, u.Hostname())
	}
	slices.Sort(hosts)
	return len(hosts) > 1 && len(slices.Compact(hosts)) == 1
}

// usualQuota is the quota of a database where etcd was told none, and does not tell its own.
const usualQuota = 2 << 30

// memberFindings judges one member.
func memberFindings(m wire.Member, now time.Time) (found []Finding) {
	where := "etcd " + nameOf(m)
	if m.Foreign {
		return []Finding{{
			Error, "fleet-foreign", where, m.Problem, "What was used in one is good again in the other.",
			"take " + m.Endpoint + " out of store.etcd.endpoints; systemctl restart mfad",
		}}
	}
	if slices.Contains(m.Alarms, wire.AlarmCorrupt) {
		found = append(found, Finding{Error, "fleet-corrupt", where, "found its data corrupt", "Etcd takes no writes. " + refusesAll, "replace that member (docs/fleet.md)"})
	}
	quota, of := m.Quota, size(m.Quota)
	if quota == 0 {
		quota, of = usualQuota, size(usualQuota)+", which is etcd's default: its own it does not tell"
	}
	spare := "etcdctl compact REVISION; etcdctl defrag; etcdctl alarm disarm (docs/fleet.md)"
	if m.InUse*2 > quota {
		spare += "; then a larger --quota-backend-bytes, of up to 8 GiB"
	}
	switch {
	case slices.Contains(m.Alarms, wire.AlarmNoSpace):
		found = append(found, Finding{
			Error, "fleet-space", where, fmt.Sprintf("has reached the quota of its database, with %s", size(m.Size)),
			"Etcd takes no writes. " + refusesAll, spare,
		})
	case m.Size*10 > quota*8:
		found = append(found, Finding{
			Warning, "fleet-space", where, fmt.Sprintf("has a database of %s, of %s", size(m.Size), of),
			"At its quota etcd takes no writes, and every login that needs a second factor is refused.", spare,
		})
	}
	if m.Behind > mayBeBehind {
		found = append(found, Finding{
			Warning, "fleet-behind", where, fmt.Sprintf("is %d changes behind the others", m.Behind),
			"It does not count as one that may take over.", "look at its disk and its network; journalctl -u etcd there",
		})
	}
	if f := expires(where, "its certificate", m.Expires, now); f != nil {
		found = append(found, *f)
	}
	if m.Answers {
		found = append(found, Finding{Severity: OK, ID: "fleet-member", Where: where, What: fmt.Sprintf("is version %s, with a database of %s", m.Version, size(m.Size))})
	}
	return found
}

// size writes a number of bytes for people.
func size(n int64) string {
	if n < 10<<20 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
