// Package carrier has what carriers share: reports of the steps of a sending, quoting of
// answers in errors, and reading of secrets from the files that mfa.toml names.
//
// What to know before trusting it: Quote hides only what it is given as private; a carrier
// that sends a code must give it the PrivateWords of the message.
package carrier

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// The steps of a sending that more than one carrier has.
const (
	StepResolve  = "resolve"
	StepConnect  = "connect"
	StepTLS      = "tls"
	StepLogin    = "login"
	StepRun      = "run"
	StepAccepted = "accepted"
)

type stepsKey struct{}

// WithSteps returns a context under which every carrier calls fn for each step of a
// sending. Such a sending opens a connection of its own, so that every step is
// reported. fn is called from various goroutines, but by one at a time;
// a resolver that outlives the sending may call it late.
func WithSteps(ctx context.Context, fn func(wire.Step)) context.Context {
	return context.WithValue(ctx, stepsKey{}, &Steps{fn: fn, last: time.Now()})
}

// Test sends m with s once and returns every step and the error of Send. If the
// error is not nil, the last step is the one that failed.
func Test(ctx context.Context, s deliver.Sender, m mfa.Message) ([]wire.Step, error) {
	var mu sync.Mutex // guards steps
	var steps []wire.Step
	err := s.Send(WithSteps(ctx, func(st wire.Step) {
		mu.Lock()
		defer mu.Unlock()
		steps = append(steps, st)
	}), m)
	mu.Lock()
	defer mu.Unlock()
	told := slices.Clone(steps)
	if n := len(told); err != nil && (n == 0 || told[n-1].Err == "") {
		told = append(told, wire.Step{Name: "send", Err: err.Error()})
	}
	return told, err
}

// Steps reports the steps of one sending. Methods of a nil Steps do nothing. It may be used
// from many goroutines.
type Steps struct {
	fn func(wire.Step)

	mu   sync.Mutex // guards last, and keeps calls of fn apart
	last time.Time  // end of the step before
}

// StepsOf returns the Steps that WithSteps put into ctx, or nil.
func StepsOf(ctx context.Context) *Steps {
	r, _ := ctx.Value(stepsKey{}).(*Steps)
	return r
}

// Begin restarts the time of the first step.
func (r *Steps) Begin() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = time.Now()
}

// Done reports a step that is over, failed if err is not nil.
func (r *Steps) Done(name, detail string, err error) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	st := wire.Step{Name: name, Detail: detail, Took: now.Sub(r.last)}
	if err != nil {
		st.Err = err.Error()
	}
	r.last = now
	r.fn(st)
}

// DescribeTLS says how a connection is encrypted and by whose certificate.
func DescribeTLS(state tls.ConnectionState, verified bool) string {
	text := tls.VersionName(state.Version)
	if len(state.PeerCertificates) > 0 {
		text += ", " + DescribeCertificate(state.PeerCertificates[0])
	}
	if !verified {
		text += ", not verified"
	}
	return text
}

// DescribeCertificate says whose certificate c is and how long it is valid.
func DescribeCertificate(c *x509.Certificate) string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		names = append(names, c.Subject.CommonName)
	}
	return "certificate of " + deliver.ASCII(strings.Join(names, ", "), deliver.FieldLimit) +
		" until " + c.NotAfter.UTC().Format(time.DateOnly)
}

// Dialling returns a context under which net.Dialer reports its steps; host is named in
// them. Package net calls the hooks of httptrace for every connection, not only for HTTP.
func (r *Steps) Dialling(ctx context.Context, host string) context.Context {
	if r == nil {
		return ctx
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSDone: func(info httptrace.DNSDoneInfo) {
			if info.Err == nil {
				r.Done(StepResolve, host+" -> "+Addresses(info.Addrs), nil)
			}
		},
		ConnectDone: func(_, addr string, err error) {
			if err == nil {
				r.Done(StepConnect, addr, nil)
			}
		},
	})
}

// Addresses returns the addresses that a resolver found as one text.
func Addresses(found []net.IPAddr) string {
	texts := make([]string, len(found))
	for i, a := range found {
		texts[i] = a.String()
	}
	return strings.Join(texts, ", ")
}
