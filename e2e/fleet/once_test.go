package fleet

import (
	"sync"
	"testing"
	"time"

	"mfa/internal/audit"
)

// crowd has n clients answer at once, one host after another, and counts what they heard.
func (f *fleet) crowd(t *testing.T, n int, user string, with func(i int) answer) map[reply]int {
	t.Helper()
	var mu sync.Mutex
	all, errs := map[reply]int{}, map[string]int{}
	start := make(chan struct{})
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			<-start
			end, err := f.hosts[i%len(f.hosts)].login(user, with(i))
			mu.Lock()
			defer mu.Unlock()
			if all[end.reply]++; err != nil {
				errs[err.Error()]++
			}
		})
	}
	close(start)
	group.Wait()
	for err, n := range errs {
		t.Logf("%d times: %s", n, err)
	}
	return all
}

// lines counts the events of that name about a user, on all hosts.
func (f *fleet) lines(t *testing.T, name, user string) (n int) {
	t.Helper()
	for _, h := range f.hosts {
		all, err := h.audited(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range all {
			if ev.User == user {
				n++
			}
		}
	}
	return n
}

// Of many guesses at once on two hosts as many are looked at as lockout.failures says, and
// each of them has a line in the audit file; all others hear that the user is locked. A
// guess whose login was ended by the lock meanwhile hears that, too.
func TestGuesses(t *testing.T) {
	f := newFleet(t, 2, patient)
	many := 2000
	if !*whole {
		many = 200
	}
	for i, n := range []int{12, 12, 12, 12, many} {
		p := f.people[i]
		var guesses []answer
		for range n {
			guesses = append(guesses, answer{code: p.guess()})
		}
		began := time.Now()
		all := f.crowd(t, n, p.name, func(i int) answer { return guesses[i] })
		looked, locks := f.lines(t, audit.Failed, p.name), f.lines(t, audit.Locked, p.name)
		t.Logf("%d guesses: %v, lines %d, %v", n, all, looked, time.Since(began))
		if looked != 5 || locks != 1 || all[wrong] > 4 || all[last] != 1 || all[accepted]+all[used] > 0 {
			t.Errorf("of %d guesses the clients heard %v; %d were looked at, want 5; %d locks", n, all, looked, locks)
		}
	}
}

// One code at once on 16 hosts is accepted once.
func TestOneCodeOnManyHosts(t *testing.T) {
	f := newFleet(t, 16, patient)
	p := f.people[0]
	code, _ := p.next()
	for what, a := range map[string]answer{"app": {code: code}, "backup": {code: p.backup[0], backup: true}} {
		all := f.crowd(t, len(f.hosts), p.name, func(int) answer { return a })
		t.Log(what, all)
		if all[accepted] != 1 || all[used] != len(f.hosts)-1 {
			t.Errorf("%s: %v", what, all)
		}
	}
}
