package etcd

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"mfa/internal/wire"
)

// lookFor bounds the look at one member.
const lookFor = 2 * time.Second

// Fleet answers at every member of etcd that this host can reach, at how far the watch has
// come, and at the notes of the hosts. What cannot be seen is said in what it returns: a
// member that is down, a right that is missing. It takes some seconds at most, and asks for
// no right but that on the prefix.
func (s *Store) Fleet(ctx context.Context) (f wire.Fleet) {
	var looking sync.WaitGroup
	looking.Go(func() { s.members(ctx, &f) })
	looking.Go(func() { f.Watched, f.Behind = s.behind(ctx) })
	looking.Go(func() {
		var err error
		if f.Hosts, err = s.hosts(ctx); err != nil {
			f.HostsProblem = err.Error()
		}
	})
	looking.Wait()
	return f
}

// behind says whether the watch runs, and how many revisions it has yet to tell.
func (s *Store) behind(ctx context.Context) (watched bool, behind int64) {
	_, _, _ = s.readCheck(ctx) // so that the newest revision is known; what is wrong Check says
	newest, reached := s.past.newest(), s.cache.progress()
	if reached == 0 {
		return false, 0
	}
	return true, max(0, newest-reached)
}

// A census is what etcd says of its members, and what was seen of them.
type census struct {
	cluster uint64 // ID of the etcd that is meant; 0: not known
	listed  []*etcdserverpb.Member
	answers []answer
}

// An answer is what one endpoint answered.
type answer struct {
	endpoint string
	status   *clientv3.StatusResponse // nil: nothing
	expires  time.Time                // its certificate; zero: it has none
}

// members looks at the members that mfa.toml names, and at those that etcd names beside.
func (s *Store) members(ctx context.Context, f *wire.Fleet) {
	var c census
	if err := s.list(ctx, &c); err != nil {
		f.Partly = "etcd does not tell its members: " + s.explain(reading, err).Error()
	}
	c.answers = s.statuses(ctx, s.client.Endpoints())
	for _, a := range c.answers {
		if c.cluster == 0 && a.status != nil {
			c.cluster = a.status.Header.ClusterId
		}
	}
	for _, m := range c.listed {
		if !slices.ContainsFunc(c.answers, func(a answer) bool { return a.of(m) }) {
			c.answers = append(c.answers, s.statuses(ctx, s.reachable(m))...)
		}
	}
	f.Members = append(c.answering(), s.silent(ctx, c)...)
	f.Led = slices.ContainsFunc(c.answers, func(a answer) bool { return c.isMember(a) && a.status.Leader != 0 })
}

// list notes the members that etcd names. That needs no leader.
func (s *Store) list(ctx context.Context, c *census) error {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	resp, err := s.client.MemberList(ctx, clientv3.WithSerializable())
	if err == nil {
		c.cluster, c.listed = resp.Header.ClusterId, resp.Members
	}
	return err
}

// statuses asks each endpoint for its status, all at once.
func (s *Store) statuses(ctx context.Context, endpoints []string) []answer {
	answers := make([]answer, len(endpoints))
	var looking sync.WaitGroup
	for i, e := range endpoints {
		looking.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, lookFor)
			defer cancel()
			answers[i].endpoint = e
			if answers[i].status, _ = s.client.Status(ctx, e); answers[i].status != nil { // else whySilent says more
				answers[i].expires = expiry(ctx, e, s.tls)
			}
		})
	}
	looking.Wait()
	return answers
}

// of says whether it is the member that was looked at: by its ID, and where it did not
// answer by its URL.
func (a answer) of(m *etcdserverpb.Member) bool {
	if a.status != nil {
		return a.status.Header.MemberId == m.ID
	}
	return slices.Contains(m.ClientURLs, strings.TrimSuffix(a.endpoint, "/"))
}

// reachable returns the URLs of a member that this host speaks with: what etcd names does
// not lead it away from TLS.
func (s *Store) reachable(m *etcdserverpb.Member) (urls []string) {
	for _, u := range m.ClientURLs {
		if s.speaks(u) {
			urls = append(urls, u)
		}
	}
	return urls
}

// speaks says whether a URL is of the kind that mfa.toml has.
func (s *Store) speaks(endpoint string) bool {
	scheme, _, _ := strings.Cut(s.client.Endpoints()[0], "://")
	return strings.HasPrefix(endpoint, scheme+"://")
}

// answering returns each member that answered once.
func (c census) answering() (all []wire.Member) {
	var applied uint64 // by the one that is furthest
	for _, a := range c.answers {
		if c.isMember(a) {
			applied = max(applied, a.status.RaftAppliedIndex)
		}
	}
	var known []uint64
	for _, a := range c.answers {
		if c.isMember(a) && !slices.Contains(known, a.status.Header.MemberId) {
			known = append(known, a.status.Header.MemberId)
			all = append(all, c.member(a, applied))
		}
	}
	return all
}

// isMember says whether it is a member of the right etcd that answered.
func (c census) isMember(a answer) bool {
	return a.status != nil && a.status.Header.ClusterId == c.cluster
}

// member returns what a member answered, where another has applied that much of the log.
func (c census) member(a answer, applied uint64) wire.Member {
	st := a.status
	m := wire.Member{
		Endpoint: plain(a.endpoint), Answers: true, Leader: st.Leader == st.Header.MemberId, Learner: st.IsLearner,
		Version: st.Version, Size: st.DbSize, InUse: st.DbSizeInUse, Quota: st.DbSizeQuota, Behind: int64(applied - st.RaftAppliedIndex),
		Expires: a.expires,
	}
	for _, one := range c.listed {
		if one.ID == st.Header.MemberId {
			m.Name = one.Name
		}
	}
	for _, alarm := range []string{wire.AlarmNoSpace, wire.AlarmCorrupt} {
		if slices.ContainsFunc(st.Errors, func(text string) bool { return strings.Contains(text, "alarm:"+alarm) }) {
			m.Alarms = append(m.Alarms, alarm)
		}
	}
	return m
}

// silent returns the members that did not answer: those of etcd's list, and what mfa.toml
// names beside and is none of them.
func (s *Store) silent(ctx context.Context, c census) (all []wire.Member) {
	for _, m := range c.listed {
		answered := slices.ContainsFunc(c.answers, func(a answer) bool { return c.isMember(a) && a.of(m) })
		if !answered {
			endpoint := s.endpointOf(m)
			all = append(all, wire.Member{Name: m.Name, Learner: m.IsLearner, Endpoint: plain(endpoint), Problem: s.whySilent(ctx, endpoint)})
		}
	}
	missing := len(all)
	for _, a := range c.answers {
		listed := slices.ContainsFunc(c.listed, a.of)
		switch {
		case c.isMember(a) || a.status == nil && listed || !slices.Contains(s.client.Endpoints(), a.endpoint):
		case a.status != nil:
			all = append(all, wire.Member{Endpoint: plain(a.endpoint), Foreign: true, Problem: "it is a member of another etcd than the others"})
		case missing > 0 && len(c.listed) > 0:
			missing-- // one of those, by another name
		default:
			all = append(all, wire.Member{Endpoint: plain(a.endpoint), Problem: s.whySilent(ctx, a.endpoint)})
		}
	}
	return all
}

// endpointOf returns where a member should answer: what mfa.toml says, if it is that.
func (s *Store) endpointOf(m *etcdserverpb.Member) string {
	for _, u := range m.ClientURLs {
		if slices.Contains(s.client.Endpoints(), u) {
			return u
		}
	}
	if len(m.ClientURLs) > 0 {
		return m.ClientURLs[0]
	}
	return ""
}

// whySilent says what is wrong with an endpoint.
func (s *Store) whySilent(ctx context.Context, endpoint string) string {
	switch {
	case endpoint == "":
		return "etcd knows no URL of it for hosts: it has not started yet"
	case !s.speaks(endpoint):
		return "its URL has another scheme than store.etcd.endpoints"
	}
	if err := knock(ctx, endpoint, s.tls, lookFor); err != nil {
		return err.Error()
	}
	return "it takes connections, but does not answer within " + lookFor.String()
}

// plain returns a URL without a password in it.
func plain(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	u.User = nil
	return u.String()
}
