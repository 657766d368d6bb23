package wire

import "time"

// Fleet is what a daemon sees of the etcd that keeps its store, and of the hosts that share
// it. It is empty where the store is this host's alone.
type Fleet struct {
	Members []Member `json:"members,omitempty"`
	// Led says whether a member that answers knows a leader, without which etcd does nothing.
	Led bool `json:"led"`
	// Partly says why there may be more members than Members has.
	Partly string `json:"partly,omitempty"`
	// Watched says whether changes of other hosts arrive by themselves, and Behind how many
	// revisions of etcd have yet to. Where they do not, each login asks.
	Watched bool  `json:"watched"`
	Behind  int64 `json:"behind"`

	Hosts []FleetHost `json:"hosts,omitempty"` // this one, too, by name
	// HostsProblem says why Hosts is not all of them.
	HostsProblem string `json:"hosts_problem,omitempty"`
}

// A Member is one member of etcd, as far as this host can see.
type Member struct {
	Name     string   `json:"name,omitempty"` // empty: it was not told
	Endpoint string   `json:"endpoint"`
	Answers  bool     `json:"answers"`           // if not, Name, Endpoint and Problem are all that is known
	Problem  string   `json:"problem,omitempty"` // why it does not
	Foreign  bool     `json:"foreign,omitempty"` // it is a member of another etcd
	Leader   bool     `json:"leader,omitempty"`
	Learner  bool     `json:"learner,omitempty"` // has no vote yet
	Version  string   `json:"version,omitempty"`
	Size     int64    `json:"size,omitempty"`   // of its database, in bytes
	InUse    int64    `json:"in_use,omitempty"` // of Size; the rest goes when it is defragmented
	Quota    int64    `json:"quota,omitempty"`  // of Size; 0: it does not tell (etcd before 3.6)
	Behind   int64    `json:"behind,omitempty"` // entries of etcd's log that others have and it has not
	Alarms   []string `json:"alarms,omitempty"` // AlarmNoSpace, AlarmCorrupt

	// Expires is when its certificate does; zero: it has none.
	Expires time.Time `json:"expires,omitzero"`
}

// The alarms of etcd.
const (
	AlarmNoSpace = "NOSPACE"
	AlarmCorrupt = "CORRUPT"
)

// A FleetHost is a host that wrote a note of itself within a day.
type FleetHost struct {
	ID      string    `json:"id"`
	Name    string    `json:"name,omitempty"` // empty: its note cannot be read
	Version string    `json:"version,omitempty"`
	Here    bool      `json:"here,omitempty"` // the one that tells this
	Seen    time.Time `json:"seen,omitzero"`  // when it wrote the note; zero: not known now
	// Ahead is by how many seconds its clock is ahead of that of the host that tells this,
	// give or take two; nil: not known now.
	Ahead *int `json:"ahead,omitempty"`
}
