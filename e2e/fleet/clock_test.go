package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"mfa/e2e/history"
	"mfa/internal/app"
	"mfa/internal/config"
	"mfa/internal/factor/otp"
)

// aheadBy is the environment variable that makes this binary an mfad whose clock is ahead.
const aheadBy = "FLEET_CLOCK_AHEAD"

// serveAhead is mfad with its clock ahead: args are those of this binary. It returns the exit
// status.
func serveAhead(by string, args []string) int {
	ahead, err := time.ParseDuration(by)
	if err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err = func() error {
		cfg, err := config.Load(args[len(args)-1])
		if err != nil {
			return err
		}
		a, err := app.New(cfg, app.Options{
			Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Now: func() time.Time { return time.Now().Add(ahead) },
			Trusted: func() bool { return true },
			Notify:  func(state string) { _, _ = daemon.SdNotify(false, state) },
		})
		if err != nil {
			return err
		}
		defer a.Close()
		return a.Run(ctx)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// One host has its clock an hour ahead. There the apps of people are wrong; what is spent
// there is spent everywhere, and nobody is refused anywhere else.
func TestClockAhead(t *testing.T) {
	rounds := 2
	if *whole {
		rounds = 20
	}
	f := newFleet(t, 2, patient)
	t.Setenv(aheadBy, "1h")
	f.mfad = os.Args[0]
	off := f.add(t, "host2")
	right := f.hosts[:2]
	r := &run{f: f, seed: *seed}
	r.enrolled()
	for round := range rounds {
		for i, p := range f.people {
			h := right[(i+round)%2]
			code, action := p.next()
			end := r.enter(0, p, h, answer{code: code}, action)
			if end.reply != accepted {
				t.Errorf("round %d: %s at a host whose clock is right: %+v", round, p.name, end)
			}
			if again := r.enter(0, p, off, answer{code: code}, history.Action{Kind: history.Guess}); again.reply != wrong {
				t.Errorf("round %d: %s by the code of an hour ago: %+v", round, p.name, again)
			}
			if n := round % 5; n < len(p.backup) {
				want := accepted
				if round >= 5 {
					want = used
				}
				hosts := []*host{off, right[0], right[1], off}
				paper := history.Action{Kind: history.BackupCode, Of: thePaper, N: int64(n)}
				if end := r.enter(0, p, hosts[(round+i)%4], answer{p.backup[n], true}, paper); end.reply != want {
					t.Errorf("round %d: %s, backup code %d: %+v, want %v", round, p.name, n, end, want)
				}
			}
		}
		newest := int64(0) // on a busy machine people are at different steps
		for _, p := range f.people {
			newest = max(newest, p.step)
		}
		for otp.Step(time.Now(), period) < newest-2 {
			time.Sleep(period / 10)
		}
	}
	r.check(t)
}
