package login

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mfa/internal/mfa"
)

// cpu returns how much of the processors this process used so far.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Many prompts for a backup code that are answered at once cost as many hashes as
// there are tries before the lock, and no more.
func TestFloodOfBackupCodes(t *testing.T) {
	d := newHarness(t, enrolling)
	withApp(d)
	const prompts = 200
	var asked, ended sync.WaitGroup
	asked.Add(prompts)
	var looked atomic.Int32
	for range prompts {
		ended.Go(func() {
			n := 0
			p := promptFunc(func(_ context.Context, p mfa.Prompt) (string, error) {
				if p.Kind != mfa.Ask {
					return "", nil
				}
				switch n++; n {
				case 1:
					return "m", nil
				case 2:
					return "2", nil
				case 3:
					asked.Done()
					asked.Wait()
					return "2222-2222-2222-2222", nil
				}
				looked.Add(1)
				return "", mfa.ErrNoConversation
			})
			_, _ = d.engine.Login(t.Context(), request("bob"), p)
		})
	}
	asked.Wait()
	before := cpu(t)
	ended.Wait()
	spent := cpu(t) - before
	if n := d.state("bob").MethodFailures[mfa.Backup]; n != 5 {
		t.Errorf("%d guesses were looked at, want 5", n)
	}
	t.Logf("%d answers cost %v of CPU", prompts, spent)
	one := hashCost(t)
	if spent > 40*one {
		t.Errorf("%d answers cost %v, one hash %v", prompts, spent, one)
	}
}

// hashCost is the CPU of one try of a backup code.
func hashCost(t *testing.T) time.Duration {
	t.Helper()
	d := newHarness(t, enrolling)
	withApp(d)
	before := cpu(t)
	d.login(request("bob"), mfa.WrongCode, step{"app shows", say("m"), nil}, step{"Backup code", say("2"), nil},
		step{"backup codes", say("2222-2222-2222-2222"), nil}, step{want: "not right", err: mfa.ErrNoConversation})
	return cpu(t) - before
}
