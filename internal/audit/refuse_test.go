package audit

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mfa/internal/audit/audittest"
	"mfa/internal/mfa"
)

// flooded records an hour of refusals, one in each pause, and returns the lines.
func flooded(t *testing.T, pause time.Duration, refuse func(l *Log, i int)) []mfa.Event {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	synctest.Test(t, func(t *testing.T) {
		l, err := Open(Config{File: path}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < int(time.Hour/pause); i++ {
			refuse(l, i)
			time.Sleep(pause)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
	audittest.Check(t, path)
	return read(t, path)
}

func refusal(user string) mfa.Event {
	return mfa.Event{Time: time.Now(), Event: Login, Outcome: "broken", User: user, Reason: "hostile"}
}

// An hour of refusals of one caller is a line a minute, and none is lost.
func TestRefusalsOfOneUIDAreFolded(t *testing.T) {
	evs := flooded(t, 10*time.Millisecond, func(l *Log, i int) { l.Refuse(1000, "hello", refusal(fmt.Sprint("user", i))) })
	sum := 0
	for _, ev := range evs {
		sum += max(1, ev.Count)
	}
	if len(evs) > 62 || sum != 360_000 {
		t.Errorf("%d lines stand for %d refusals", len(evs), sum)
	}
	if evs[0].Count != 0 || evs[0].User != "user0" || !strings.Contains(evs[1].Reason, "more like this one: hostile") {
		t.Errorf("first lines %+v %+v", evs[0], evs[1])
	}
}

// Many callers are no way around it, and leave root's refusals a line.
func TestRefusalsOfManyUIDsAreFolded(t *testing.T) {
	evs := flooded(t, 10*time.Millisecond, func(l *Log, i int) {
		l.Refuse(uint32(100_000+i%65_536), "hello", refusal("x"))
		if i%30_000 == 7 {
			l.Refuse(0, "hello", refusal("root's"))
		}
	})
	sum, roots := 0, 0
	for _, ev := range evs {
		sum += max(1, ev.Count)
		if ev.User == "root's" {
			roots++
		}
	}
	if len(evs) > 61*(maxFolds+1)+roots || sum != 360_000+12 || roots != 12 {
		t.Errorf("%d lines stand for %d refusals, %d of root", len(evs), sum, roots)
	}
}

// A rare refusal is written down each time.
func TestRareRefusalsHaveTheirOwnLines(t *testing.T) {
	evs := flooded(t, 3*time.Minute, func(l *Log, _ int) { l.Refuse(1000, "hello", refusal("x")) })
	if len(evs) != 20 {
		t.Errorf("%d lines of 20 refusals", len(evs))
	}
}

func TestNilLogTakesRefusals(*testing.T) { (*Log)(nil).Refuse(1000, "hello", mfa.Event{}) }

// A line is bounded, whatever was said.
func TestTextsAreCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := Open(Config{File: path}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("é\x00", 30_000)
	l.Record(mfa.Event{Time: time.Now(), Event: Login, User: long, Service: long, Address: long, TTY: long, Outcome: "broken", Reason: long})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() > 20_000 {
		t.Errorf("a line of %d bytes, %v", info.Size(), err)
	}
	if ev := read(t, path)[0]; !strings.HasPrefix(long, strings.TrimSuffix(ev.User, "…")) || len(ev.User) < 1000 {
		t.Errorf("user %q", ev.User)
	}
}
