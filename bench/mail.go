package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// typing is how long a person takes to read the mail and type the code.
const typing = 3 * time.Second

// mails measures a Monday morning: logins that each send mail, within a minute.
func mails(b *bench) (err error) {
	relay, err := newSink()
	if err != nil {
		return err
	}
	s, err := b.newMailSite("mail", relay.port())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop(), relay.l.Close()) }()
	prompts, denied := b.monday(relay)
	connections, arrivals := relay.counted()
	row := sample{prompts}.row(fmt.Sprintf("from the first factor to the prompt, %d logins within %v", b.mails, b.window), "ms")
	row.Note = fmt.Sprintf("p99 %.1f ms, most %.1f ms; %d mails over %d connections; %d not let in",
		row.P99, quantile(prompts, 1), len(arrivals), connections, denied)
	b.group.Rows = append(b.group.Rows, row)
	b.group.mustNotExceed("every prompt after the first factor", "≤ 50 ms", quantile(prompts, 1), 50)
	b.group.mustReach("mails over one connection to the relay, which is kept", "≥ 10", float64(len(arrivals))/float64(max(1, connections)), 10)
	b.group.mustNotExceed("logins that send mail and are not let in", "0", float64(denied), 0)
	b.group.note("Each login is a process of its own; the code is typed %v after it came. The relay is one of the bench's own on loopback, which takes every mail at once.", typing)
	return errors.Join(b.sends("the bench's relay", relay), b.throughPostfix())
}

// monday lets all users log in at an even pace, and returns the milliseconds from the
// first factor to the prompt, and how many were not let in.
func (b *bench) monday(relay *sink) (prompts []float64, denied int) {
	var mu sync.Mutex // guards both
	var all sync.WaitGroup
	began := time.Now()
	for n := range b.mails {
		time.Sleep(time.Until(began.Add(b.window * time.Duration(n) / time.Duration(b.mails))))
		all.Go(func() {
			prompt, err := b.mailed(n, relay)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				denied++
				b.w.syslog.add(err.Error())
			}
			if prompt > 0 {
				prompts = append(prompts, prompt.Seconds()*1000)
			}
		})
	}
	all.Wait()
	return prompts, denied
}

// mailed is one login with a code by mail.
func (b *bench) mailed(n int, relay *sink) (prompt time.Duration, err error) {
	cmd := exec.Command(b.w.client)
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, in.Close(), cmd.Wait()) }()
	said := bufio.NewReader(out)
	if _, err := fmt.Fprintf(in, "wait bench-ours %s %s\n", userName(n), rhost); err != nil {
		return 0, err
	}
	if _, err := fmt.Fscanf(said, "prompt %d\n", &prompt); err != nil {
		return 0, fmt.Errorf("no prompt for %s: %w", userName(n), err)
	}
	select {
	case code := <-relay.code(userName(n) + "@example.com"):
		time.Sleep(typing)
		fmt.Fprintln(in, code)
	case <-time.After(30 * time.Second):
		return prompt, fmt.Errorf("no mail for %s", userName(n))
	}
	line, err := said.ReadString('\n')
	if err == nil && !strings.HasSuffix(line, " 0\n") {
		err = fmt.Errorf("%s was not let in: %s", userName(n), line)
	}
	return prompt, err
}

// A relay takes mails, and counts them and the connections they come by.
type relay interface {
	counted() (connections int, arrivals []time.Time)
}

// sends measures how many mails a second go out when all users come at once, and do not
// type their codes.
func (b *bench) sends(to string, r relay) error {
	var shots []shot
	for n := range b.mails {
		shots = append(shots, shot{"bench-ours", userName(n), "-"})
	}
	connections, before := r.counted()
	if _, _, err := b.client.crowd(256, shots); err != nil {
		return err
	}
	wanted := len(before) + len(shots)
	for range 200 { // what is still on its way
		if _, arrivals := r.counted(); len(arrivals) >= wanted {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	now, arrivals := r.counted()
	arrivals = arrivals[len(before):]
	if len(arrivals) < 2 {
		return fmt.Errorf("only %d mails came of %d to %s", len(arrivals), len(shots), to)
	}
	rate := float64(len(arrivals)-1) / arrivals[len(arrivals)-1].Sub(arrivals[0]).Seconds()
	b.group.Rows = append(b.group.Rows, Row{
		Name: "mails a second, 256 logins at once, to " + to, Unit: "mails/s", Median: rate, N: len(arrivals),
		Note: fmt.Sprintf("%d of %d mails over %d connections", len(arrivals), len(shots), now-connections),
	})
	return nil
}

// throughPostfix is sends through a local postfix, if there is one.
func (b *bench) throughPostfix() (err error) {
	if _, err := os.Stat(postfixDir + "/usr/lib/postfix/sbin/master"); err != nil {
		b.group.note("Debian's postfix could not be fetched, so no mail went through it: %v.", err)
		return nil
	}
	p, err := startPostfix(b.w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	s, err := b.newMailSite("postfix-site", 25)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	b.group.note("postfix is Debian's, with its queue on the same disk; a mail counts when it is in the queue.")
	return b.sends("postfix", p)
}

// newMailSite makes a site whose users get codes by mail, through a relay on loopback.
func (b *bench) newMailSite(name string, port int) (*site, error) {
	const settings = "[email]\nfrom = \"mfa@example.com\"\n[email.smtp]\nhost = \"127.0.0.1\"\nport = %d\ntls = \"none\""
	s, err := b.newSite(name, b.mails, fmt.Sprintf(settings, port))
	if err != nil {
		return nil, err
	}
	s.mail = true
	return s, errors.Join(s.services(), s.enroll(), s.start())
}
