// Package spend counts the text messages and the calls that cost money, and refuses one
// too many.
//
// What to know before trusting it: a message is counted in the store before it is sent,
// so the limits hold across restarts and hosts; a record that cannot be read is an
// error and never an empty one. No number is kept in clear.
package spend

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
)

// ErrLimit is wrapped by the error of a message or a call that a spending limit forbids.
var ErrLimit = errors.New("spending limit reached")

// The limits a LimitError names, by their keys in mfa.toml; those of calls have
// TableCalls in place of TableTexts.
const (
	LimitUser   = "sms.per_user_per_day"
	LimitNumber = "sms.per_number_per_day"
	LimitPrefix = "sms.per_prefix_per_hour"
	LimitTotal  = "sms.per_hour"
)

// Tables of mfa.toml with limits.
const (
	TableTexts = "sms"
	TableCalls = "sms.call"
)

// A LimitError says which limit forbids a message and until when: at Until the
// limit has room for one message again, if none is sent before.
type LimitError struct {
	Limit  string // its key
	Until  time.Time
	Window time.Duration // that the limit is about
}

// Wait returns how long people are told to wait: until Until, but never longer than the limit
// is about. A message counts up to a slot longer than that, so that in the last slot there may
// still be no room then.
func (e LimitError) Wait(now time.Time) time.Duration { return min(e.Until.Sub(now), e.Window) }

// Error names the limit and its end.
func (e LimitError) Error() string {
	return fmt.Sprintf("%v: %s, until %s", ErrLimit, e.Limit, e.Until.UTC().Format(time.RFC3339))
}

// Unwrap returns ErrLimit.
func (e LimitError) Unwrap() error { return ErrLimit }

// Limits is how many messages may be sent; 0 or less means no such limit.
//
// A prefix is the first five digits of a number, with the country code: an
// operator's block or a city, up to ten million numbers. Frauds who earn by such messages
// rent many numbers in one block, so a limit for each number does not stop them.
type Limits struct {
	UserPerDay    int
	NumberPerDay  int
	PrefixPerHour int
	TotalPerHour  int
}

// A Ledger counts text messages and refuses those beyond the Limits.
// Its counters are in the store and change only by compare-and-swap, so they
// hold across restarts and hosts. It may be used from many goroutines; its
// fields must not change after the first use.
//
// Windows slide: no stretch of a day or an hour has more messages than its limit. Time
// is counted in slots of an hour or of five minutes, and a slot counts as long
// as any part of it lies in the window, so room comes back up to a slot late
// and never early.
//
// Users and numbers are divided over 256 records, so that a message rewrites a few
// kilobytes for any number of users; the last hour has a record of its own, or in a fleet
// several (fleet.go). Each record is swept when it is written.
type Ledger struct {
	Limits Limits
	// Calls says that it is calls that are counted, apart from text messages.
	Calls bool
	// Update replaces the value at key by fn(old) as store.Update does: fn gets
	// nil if there is none, may run several times, returns nil to delete, and
	// old to write nothing.
	Update func(ctx context.Context, key string, fn func(old []byte) ([]byte, error)) error
	// Look returns the value at key, nil if there is none, as it was a moment ago; nil: by
	// Update. What it says decides nothing.
	Look func(ctx context.Context, key string) ([]byte, error)
	// Host names this one in a fleet; empty: there is no other.
	Host string
	// Hash returns the hash of a number that is stored. It must be keyed: there are so few
	// numbers that anybody could try them all against a plain hash.
	Hash func(number string) string
	// Alert, if not nil, is called beside the log when the messages of the last
	// hour reach 80 % of their limit and when they reach the limit, once a window
	// each. It must return soon.
	Alert func(limit string, used, max int)
	// Idle says that nobody carries text messages: then Total has no limit that could
	// come near.
	Idle bool
	Log  *slog.Logger     // nil: no log
	Now  func() time.Time // nil: time.Now

	once sync.Once
	turn chan struct{} // made by once; full while somebody counts in spendKey
}

// New returns the ledger of [sms], which keeps its counters in s and numbers under key.
// Log, Now and Alert are left to be set.
func New(cfg deliver.SMSConfig, s store.Store, key *seal.Key) *Ledger {
	return &Ledger{
		Limits: Limits{
			UserPerDay: cfg.PerUserPerDay, NumberPerDay: cfg.PerNumberPerDay,
			PrefixPerHour: cfg.PerPrefixPerHour, TotalPerHour: cfg.PerHour,
		},
		// Apart from what a login has read: its counters are nothing to these.
		Update: func(ctx context.Context, key string, fn func(old []byte) ([]byte, error)) error {
			return store.Update(store.WithoutView(ctx), s, key, fn)
		},
		Look: func(ctx context.Context, key string) ([]byte, error) {
			it, err := s.Get(store.WithView(store.WithoutView(ctx)), key)
			if errors.Is(err, store.ErrNotFound) {
				return nil, nil
			}
			return it.Value, err
		},
		Hash: func(number string) string { return string(key.MAC("ledger number", []byte(number))) },
		Idle: cfg.Provider == "",
	}
}

// NewCalls is New for calls, by the limits of [sms.call].
func NewCalls(cfg deliver.SMSConfig, s store.Store, key *seal.Key) *Ledger {
	l := New(cfg, s, key)
	l.Calls, l.Idle = true, cfg.Provider != deliver.ProviderTwilio
	l.Limits = Limits{
		UserPerDay: cfg.Call.PerUserPerDay, NumberPerDay: cfg.Call.PerNumberPerDay,
		PrefixPerHour: cfg.Call.PerPrefixPerHour, TotalPerHour: cfg.Call.PerHour,
	}
	return l
}

// Reserve counts one message to the number to (E.164) for user, before it is
// sent. With newPlace, asked for from where the user was never seen, the last quarter of
// the limits of the user and the number cannot be used. If a limit forbids the message,
// nothing is counted and the error wraps a LimitError, which wraps ErrLimit. Any other
// error means that it could not be counted: the message must not be sent either. A
// message that was reserved and not sent stays counted, as its carrier may have charged
// for it.
//
// A message counts in three records, the narrowest first. All are checked before the
// first is written, so that a flood of refusals writes nothing. If another message takes
// the last room in between, what was counted is taken back; if that fails it stays
// counted.
func (l *Ledger) Reserve(ctx context.Context, user, to string, newPlace bool) error {
	claims, err := l.allowed(ctx, user, to, newPlace)
	if err != nil {
		return err
	}
	for i := range claims {
		if err := l.take(ctx, &claims[i]); err != nil {
			l.giveBack(ctx, claims[:i])
			return fmt.Errorf("reserve message to %q: %w", deliver.Mask(to), err)
		}
	}
	return nil
}

// Room returns what Reserve would, as far as it is known before anything is counted. It writes
// nothing.
func (l *Ledger) Room(ctx context.Context, user, to string, newPlace bool) error {
	_, err := l.allowed(ctx, user, to, newPlace)
	return err
}

// allowed returns what a message counts, if no limit forbids it.
func (l *Ledger) allowed(ctx context.Context, user, to string, newPlace bool) ([]claim, error) {
	claims, err := l.claims(user, to, newPlace, l.clock())
	for i := 0; i < len(claims) && err == nil; i++ {
		err = l.mayCount(ctx, claims[i])
	}
	if err != nil {
		return nil, fmt.Errorf("reserve message to %q: %w", deliver.Mask(to), err)
	}
	return claims, nil
}

// mayCount returns a LimitError if c has no room.
func (l *Ledger) mayCount(ctx context.Context, c claim) error {
	if c.spread {
		return l.mayCountSpread(ctx, c)
	}
	p, err := l.glance(ctx, c.key)
	if err == nil && c.check(p) == nil {
		return nil
	}
	if p, err = l.read(ctx, c.key); err != nil {
		return err
	}
	return c.check(p)
}

// take counts one message in c, which says then in what record.
func (l *Ledger) take(ctx context.Context, c *claim) error {
	if c.spread {
		return l.takeSpread(ctx, c)
	}
	return l.count(ctx, *c)
}

func (l *Ledger) clock() time.Time {
	if l.Now == nil {
		return time.Now()
	}
	return l.Now()
}

// Counters in a page, by what they begin with.
const (
	ofUser   = "user/"
	ofNumber = "number/"
	ofPrefix = "prefix/"
	ofTotal  = "total"
)

// spendKey is the record of the last hour of text messages; followed by a slash and two hex
// digits it is one of those of the last day.
const (
	spendKey = "meta/spend"
	days     = 256
)

// dayKey returns the record of the last day that has the counter.
func (l *Ledger) dayKey(counter string) string {
	return fmt.Sprintf("%s/%02x", l.record(), sha256.Sum256([]byte(counter))[0])
}

// record returns the key of the last hour. Calls have records of their own.
func (l *Ledger) record() string {
	if l.Calls {
		return spendKey + "-calls"
	}
	return spendKey
}

// limit returns the key in mfa.toml of a limit, given as that of text messages.
func (l *Ledger) limit(ofTexts string) string {
	if name, ok := strings.CutPrefix(ofTexts, TableTexts); ok && l.Calls {
		return TableCalls + name
	}
	return ofTexts
}

// A claim is the counters that one message changes in one record.
type claim struct {
	key    string
	window window
	slot   int64 // the present one
	counts []counter
	spread bool // the limit is divided over the records of total
}

// A counter is one limit of a claim.
type counter struct {
	name  string // in the page
	limit string
	max   int
}

// claims returns what a message to the number to counts, narrowest first.
func (l *Ledger) claims(user, to string, newPlace bool, now time.Time) ([]claim, error) {
	prefix, err := prefixOf(to)
	if err != nil {
		return nil, err
	}
	if l.Hash == nil {
		return nil, errors.New("the ledger has no hash for numbers")
	}
	day := func(c counter) claim {
		if newPlace && c.max > 1 {
			c.max -= (c.max + 3) / 4
		}
		return claim{key: l.dayKey(c.name), window: lastDay, slot: lastDay.at(now), counts: []counter{c}}
	}
	// JSON would replace what is not UTF-8, and the counter be lost.
	name := ofUser + strings.ToValidUTF8(user, "\ufffd")
	days := []claim{
		day(counter{name, l.limit(LimitUser), l.Limits.UserPerDay}),
		day(counter{ofNumber + l.shortHash(to), l.limit(LimitNumber), l.Limits.NumberPerDay}),
	}
	ofThePrefix := counter{ofPrefix + prefix, l.limit(LimitPrefix), l.Limits.PrefixPerHour}
	ofAll := counter{ofTotal, l.limit(LimitTotal), l.Limits.TotalPerHour}
	hour := func(key string, counts ...counter) claim {
		return claim{key: key, window: lastHour, slot: lastHour.at(now), counts: counts}
	}
	if l.Host == "" {
		return append(days, hour(l.record(), ofThePrefix, ofAll)), nil
	}
	all := hour("", ofAll)
	all.spread = true
	return append(days, hour(l.prefixKey(prefix), ofThePrefix), all), nil
}

// shortHash returns the hash of a number in 12 letters, 72 bits: two numbers in
// a day that share it are not to be expected.
func (l *Ledger) shortHash(number string) string {
	sum := sha256.Sum256([]byte(l.Hash(number)))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// prefixDigits is how many digits of a number its prefix has; a number has more.
const prefixDigits = 5

// prefixOf returns the prefix of an E.164 number, with its plus.
func prefixOf(number string) (string, error) {
	if !mfa.IsNumber(number) {
		return "", errors.New("not a number in E.164")
	}
	return number[:1+prefixDigits], nil
}

// check returns a LimitError if a counter of c has no room for one message.
func (c claim) check(p page) error {
	for _, n := range c.counts {
		t := p.Counts[n.name].live(c.window, c.slot)
		if n.max > 0 && t.sum() >= n.max {
			return LimitError{n.limit, t.roomAt(n.max, c.window), c.window.length}
		}
	}
	return nil
}

// count counts one message in the record of c, if every counter has room, and raises an
// alert if one is due.
func (l *Ledger) count(ctx context.Context, c claim) error {
	if c.key == l.record() {
		leave, err := l.enter(ctx)
		if err != nil {
			return err
		}
		defer leave()
	}
	var level, used int
	err := l.change(ctx, c.key, func(p *page) error {
		p.forgetOld(c.window, c.slot)
		if err := c.check(*p); err != nil {
			return err
		}
		for _, n := range c.counts {
			p.add(n.name, c.slot)
		}
		if used = p.Counts[ofTotal].sum(); !c.spread {
			level = p.raise(used, l.Limits.TotalPerHour, c.slot)
		}
		return nil
	})
	if err == nil && level > 0 {
		l.warn(ctx, level, used)
	}
	return err
}

// enter is a mutex for spendKey within this process. Every message counts there: without
// it each of a thousand at once would lose the compare-and-swap hundreds of times.
func (l *Ledger) enter(ctx context.Context) (leave func(), err error) {
	l.once.Do(func() { l.turn = make(chan struct{}, 1) })
	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *Ledger) warn(ctx context.Context, level, used int) {
	if l.Alert != nil {
		l.Alert(l.limit(LimitTotal), used, l.Limits.TotalPerHour)
	}
	if l.Log == nil {
		return
	}
	what := "text messages"
	if l.Calls {
		what = "calls"
	}
	severity, text := slog.LevelWarn, what+" come near their limit"
	if level >= atLimit {
		severity, text = slog.LevelError, what+" reached their limit: no more go out for now"
	}
	l.Log.Log(ctx, severity, text, "limit", l.limit(LimitTotal), "used", used, "max", l.Limits.TotalPerHour)
}

// undoTime bounds giveBack, which runs even if the login is gone.
const undoTime = 5 * time.Second

// giveBack takes back what was counted for a message that is not sent.
func (l *Ledger) giveBack(ctx context.Context, claims []claim) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	for _, c := range claims {
		err := l.change(ctx, c.key, func(p *page) error {
			for _, n := range c.counts {
				p.remove(n.name, c.slot)
			}
			return nil
		})
		if err != nil && l.Log != nil {
			l.Log.WarnContext(ctx, "a text message that is not sent stays counted", "error", err)
		}
	}
}

// change lets fn edit the record at key, in one compare-and-swap; fn may run
// several times. If fn returns an error nothing is written.
func (l *Ledger) change(ctx context.Context, key string, fn func(*page) error) error {
	return l.Update(ctx, key, func(old []byte) ([]byte, error) {
		p, err := decodePage(key, old)
		if err != nil {
			return nil, err
		}
		if err := fn(&p); err != nil {
			return nil, err
		}
		return p.encode()
	})
}

// read returns the record at key.
func (l *Ledger) read(ctx context.Context, key string) (p page, err error) {
	err = l.Update(ctx, key, func(old []byte) (_ []byte, err error) {
		p, err = decodePage(key, old)
		return old, err
	})
	return p, err
}

// glance is read of what decides nothing.
func (l *Ledger) glance(ctx context.Context, key string) (page, error) {
	if l.Look == nil {
		return l.read(ctx, key)
	}
	data, err := l.Look(ctx, key)
	if err != nil {
		return page{}, err
	}
	return decodePage(key, data)
}
