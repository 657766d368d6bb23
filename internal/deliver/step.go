package deliver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"
	"sync"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

type stepsKey struct{}

// WithSteps has every carrier that sends under the context returned tell fn each
// step. Such a sending opens a connection of its own, so that every step is
// there to be seen. fn is called from various goroutines, but by one at a time;
// a resolver that outlives the sending may call it late.
func WithSteps(ctx context.Context, fn func(wire.Step)) context.Context {
	return context.WithValue(ctx, stepsKey{}, &reporter{fn: fn, last: time.Now()})
}

// Test sends m with s once and returns every step and the error of Send. If the
// error is not nil the last step has failed.
func Test(ctx context.Context, s Sender, m mfa.Message) ([]wire.Step, error) {
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

// A reporter passes on the steps of one sending. A nil reporter is one whom
// nobody listens to: its methods do nothing.
type reporter struct {
	fn func(wire.Step)

	mu   sync.Mutex // guards last, and keeps calls of fn apart
	last time.Time  // end of the step before
}

// reporterOf returns who wants to know of the steps taken under ctx, nil if
// nobody does.
func reporterOf(ctx context.Context) *reporter {
	r, _ := ctx.Value(stepsKey{}).(*reporter)
	return r
}

// begin starts the clock of the first step anew.
func (r *reporter) begin() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = time.Now()
}

// done reports a step that is over, failed if err is not nil.
func (r *reporter) done(name, detail string, err error) {
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

// describeTLS says how a connection is encrypted and by whose certificate.
func describeTLS(state tls.ConnectionState, verified bool) string {
	text := tls.VersionName(state.Version)
	if len(state.PeerCertificates) > 0 {
		text += ", " + describeCertificate(state.PeerCertificates[0])
	}
	if !verified {
		text += ", not verified"
	}
	return text
}

// describeCertificate says whose certificate c is and how long it is valid.
func describeCertificate(c *x509.Certificate) string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		names = append(names, c.Subject.CommonName)
	}
	return "certificate of " + ascii(strings.Join(names, ", "), fieldLimit) +
		" until " + c.NotAfter.UTC().Format(time.DateOnly)
}

// maskUser returns who logs in somewhere, so that an administrator knows them
// again.
func maskUser(name string) string {
	if strings.Contains(name, "@") {
		return Mask(name)
	}
	return ascii(maskLocal(name), maskLimit)
}
