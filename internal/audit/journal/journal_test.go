package journal

import (
	"bytes"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/journal"

	"mfa/internal/audit"
	"mfa/internal/mfa"
)

// An entry is what the journal is sent.
type entry struct {
	message  string
	priority journal.Priority
	fields   map[string]string
}

// fakeJournal returns a log to a journal that keeps what it is sent.
func fakeJournal(level slog.Leveler) (*slog.Logger, *[]entry) {
	sent := new([]entry)
	return slog.New(&journalHandler{level: level, send: func(m string, p journal.Priority, f map[string]string) error {
		*sent = append(*sent, entry{m, p, f})
		return nil
	}}), sent
}

// redacted shows itself as something else.
type redacted struct{}

func (redacted) LogValue() slog.Value { return slog.StringValue("hidden") }

func TestJournalEntry(t *testing.T) {
	for name, c := range map[string]struct {
		write func(*slog.Logger)
		want  entry
	}{
		"bare": {
			func(l *slog.Logger) { l.Info("ready") },
			entry{"ready", journal.PriInfo, map[string]string{}},
		},
		"attributes": {
			func(l *slog.Logger) {
				l.Warn("login", "user", "alice", "outcome", "wrong code", "tries", 3, "for", 90*time.Second, "error", errors.New("no"))
			},
			entry{`login user=alice outcome="wrong code" tries=3 for=1m30s error=no`, journal.PriWarning, map[string]string{
				"MFA_USER": "alice", "MFA_OUTCOME": "wrong code", "MFA_TRIES": "3", "MFA_FOR": "1m30s", "MFA_ERROR": "no",
			}},
		},
		"names of attributes that are slog's own": {
			func(l *slog.Logger) { l.Info("x", "kind", "a", "pam_socket", "/run/mfa/pam.sock") },
			entry{"x kind=a pam_socket=/run/mfa/pam.sock", journal.PriInfo, map[string]string{
				"MFA_KIND": "a", "MFA_PAM_SOCKET": "/run/mfa/pam.sock",
			}},
		},
		"names with other letters": {
			func(l *slog.Logger) { l.Info("x", "a-b.cÄ9", 1) },
			entry{"x a-b.cÄ9=1", journal.PriInfo, map[string]string{"MFA_A_B_C_9": "1"}},
		},
		"a value that shows itself": {
			func(l *slog.Logger) { l.Info("x", "code", redacted{}) },
			entry{"x code=hidden", journal.PriInfo, map[string]string{"MFA_CODE": "hidden"}},
		},
		"With": {
			func(l *slog.Logger) { l.With("a", 1).With("b", 2).Error("x", "c", 3) },
			entry{"x a=1 b=2 c=3", journal.PriErr, map[string]string{"MFA_A": "1", "MFA_B": "2", "MFA_C": "3"}},
		},
		"groups": {
			func(l *slog.Logger) { l.With("a", 1).WithGroup("g").With("b", 2).WithGroup("h").Info("x", "c", 3) },
			entry{"x a=1 g.b=2 g.h.c=3", journal.PriInfo, map[string]string{"MFA_A": "1", "MFA_G_B": "2", "MFA_G_H_C": "3"}},
		},
		"a message of several lines stays one entry": {
			func(l *slog.Logger) { l.Info("x", "error", "a\nMESSAGE=b") },
			entry{`x error="a\nMESSAGE=b"`, journal.PriInfo, map[string]string{"MFA_ERROR": "a\nMESSAGE=b"}},
		},
	} {
		log, sent := fakeJournal(slog.LevelInfo)
		c.write(log)
		if len(*sent) != 1 {
			t.Errorf("%s: %d entries", name, len(*sent))
			continue
		}
		got := (*sent)[0]
		if got.message != c.want.message || got.priority != c.want.priority || !maps.Equal(got.fields, c.want.fields) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, c.want)
		}
	}
}

// Loggers that With made from one do not see each other's attributes.
func TestJournalBranches(t *testing.T) {
	log, sent := fakeJournal(slog.LevelInfo)
	base := log.With("a", 1)
	left, right := base.With("b", 2), base.With("c", 3)
	left.Info("left")
	right.Info("right")
	base.Info("base")
	want := []string{"left a=1 b=2", "right a=1 c=3", "base a=1"}
	for i, e := range *sent {
		if e.message != want[i] || len(e.fields) != len(strings.Fields(want[i]))-1 {
			t.Errorf("%+v, want %q", e, want[i])
		}
	}
	if len(*sent) != len(want) {
		t.Errorf("%d entries", len(*sent))
	}
}

func TestJournalLevels(t *testing.T) {
	var level slog.LevelVar
	log, sent := fakeJournal(&level)
	log.Debug("too low")
	level.Set(slog.LevelDebug)
	log.Debug("debug")
	log.Log(t.Context(), slog.LevelInfo+1, "notice")
	log.Log(t.Context(), slog.LevelError+4, "worse")
	level.Set(slog.LevelError)
	log.Warn("too low")
	want := []entry{{"debug", journal.PriDebug, nil}, {"notice", journal.PriInfo, nil}, {"worse", journal.PriErr, nil}}
	if len(*sent) != len(want) {
		t.Fatalf("sent %+v", *sent)
	}
	for i, e := range *sent {
		if e.message != want[i].message || e.priority != want[i].priority {
			t.Errorf("sent %+v, want %+v", e, want[i])
		}
	}
}

// Standard error of a test is not the journal's.
func TestLogWithoutJournal(t *testing.T) {
	t.Setenv("JOURNAL_STREAM", "")
	var out bytes.Buffer
	log := NewLog(&out, slog.LevelWarn)
	log.Info("not this")
	log.Warn("this", "user", "alice")
	if s := out.String(); !strings.HasSuffix(s, "level=WARN msg=this user=alice\n") || strings.Contains(s, "not this") {
		t.Errorf("log %q", s)
	}
}

// While journald is away lines go where systemd finds them all the same.
func TestJournalAway(t *testing.T) {
	var b strings.Builder
	h := &journalHandler{level: slog.LevelInfo, send: orWrite(&b, func(string, journal.Priority, map[string]string) error {
		return errors.New("away")
	})}
	slog.New(h).Warn("lost", "user", "alice")
	if got := b.String(); got != "<4>lost user=alice\n" {
		t.Errorf("written: %q", got)
	}
}

// In the journal each field of an event can be asked for.
func TestEventsAreInTheJournal(t *testing.T) {
	log, sent := fakeJournal(slog.LevelInfo)
	events, err := audit.Open(audit.Config{}, log)
	if err != nil {
		t.Fatal(err)
	}
	uid := uint32(1000)
	events.Record(mfa.Event{
		Time: time.Now(), Event: audit.Login, User: "alice", UID: &uid, Service: "sshd", Address: "192.0.2.1",
		Outcome: mfa.Exhausted.String(), Reason: "locked",
	})
	want := map[string]string{
		"MFA_EVENT": "login", "MFA_USER": "alice", "MFA_UID": "1000", "MFA_SERVICE": "sshd", "MFA_ADDRESS": "192.0.2.1",
		"MFA_OUTCOME": "exhausted", "MFA_REASON": "locked",
	}
	if len(*sent) != 1 || !maps.Equal((*sent)[0].fields, want) || (*sent)[0].priority != journal.PriWarning {
		t.Errorf("sent %+v", *sent)
	}
}
