package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"mfa/internal/seal"
	"mfa/internal/store"
)

// checkName is the key, behind the prefix, of what tells a host with another key, or of
// another build, so at start.
const checkName = "check"

// format of the records under a prefix. A change that an older version would misread
// raises it.
const format = 1

// checkValue is what stands at checkName, in clear: it holds no secret.
type checkValue struct {
	Format int    `json:"format"`
	Key    string `json:"key"` // its ID
}

// Options are what a Store gets beside its configuration.
type Options struct {
	// Key returns the key of the fleet: the one with the ID known (seal.Key.ID), or, if
	// known is empty, any one, for a new fleet.
	Key func(known string) (*seal.Key, error)
	// MayBegin returns why no new fleet is to begin where etcd has none, or nil; nil itself:
	// one may.
	MayBegin func() error

	Log *slog.Logger
	Now func() time.Time // paces the log, and is what Host tells; nil: the log says everything
	// Host is noted for the other hosts; the zero value is not.
	Host Host
	// Follow is told what the Store learns; nil: nobody is.
	Follow Follower

	memory int // see maxMemory; 0: that
	dial   []dialOption
}

// Open connects to etcd, and begins the store under the prefix if there is none. It fails if
// etcd does not answer, does not let this host in, or was written with another key.
func Open(ctx context.Context, cfg store.EtcdConfig, opts Options) (*Store, error) {
	s, err := connect(ctx, cfg, opts)
	if err != nil {
		return nil, fmt.Errorf("open store in etcd: %w", err)
	}
	if err := s.admit(ctx, opts); err != nil {
		return nil, fmt.Errorf("open store in etcd: %w", errors.Join(err, s.client.Close()))
	}
	ctx, s.endWatch = context.WithCancel(context.Background())
	s.watching.Go(func() { s.watch(ctx) })
	s.noteHost(ctx)
	s.watching.Go(func() { s.attend(ctx) })
	return s, nil
}

// Look says what keeps a daemon from opening the store, or nil. It changes nothing.
func Look(ctx context.Context, cfg store.EtcdConfig, opts Options) error {
	s, err := connect(ctx, cfg, opts)
	if err != nil {
		return fmt.Errorf("open store in etcd: %w", err)
	}
	was, _, err := s.readCheck(ctx)
	if err == nil && was != nil {
		_, err = opts.Key(was.Key)
	} else if err == nil {
		err = s.mayBegin(ctx, opts)
	}
	if err = errors.Join(err, s.client.Close()); err != nil {
		return fmt.Errorf("open store in etcd: %w", err)
	}
	return nil
}

// ReadOnly calls fn with the store, to read it and for nothing else: nothing is begun, and no
// watch keeps up what was read. It does not call fn if there is no store yet, or opts.Key
// returns none.
func ReadOnly(ctx context.Context, cfg store.EtcdConfig, opts Options, fn func(store.Store) error) error {
	s, err := connect(ctx, cfg, opts)
	if err != nil {
		return fmt.Errorf("open store in etcd: %w", err)
	}
	was, _, err := s.readCheck(ctx)
	if err == nil && was != nil {
		s.key, err = opts.Key(was.Key)
	}
	if err == nil && s.key != nil {
		err = fn(s)
	}
	if err = errors.Join(err, s.client.Close()); err != nil {
		return fmt.Errorf("read store in etcd: %w", err)
	}
	return nil
}

// connect makes the client and finds out whether etcd answers it.
func connect(ctx context.Context, cfg store.EtcdConfig, opts Options) (*Store, error) {
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	conf, err := clientConfig(cfg, log, opts.dial)
	if err != nil {
		return nil, err
	}
	past := &past{}
	conf.DialOptions = append(conf.DialOptions, grpc.WithChainUnaryInterceptor(past.heed))
	client, err := clientv3.New(conf)
	if err != nil {
		return nil, diagnose(ctx, cfg, conf.TLS, err)
	}
	memory := opts.memory
	if memory == 0 {
		memory = maxMemory
	}
	now := opts.Now
	if now == nil {
		now = func() (never time.Time) { return }
	}
	s := &Store{
		told: told{now: now}, client: client, prefix: cfg.Prefix, timeout: time.Duration(cfg.Timeout), log: log, tls: conf.TLS, now: now, host: opts.Host,
		past: past, cache: newCache(memory), follow: opts.Follow,
	}
	if _, _, err := s.readCheck(ctx); err != nil && !errors.Is(err, errNotCheck) {
		return nil, errors.Join(diagnose(ctx, cfg, conf.TLS, err), client.Close())
	}
	return s, nil
}

// errNotCheck means that what stands at checkName is not ours.
var errNotCheck = errors.New("it is not of mfad")

// readCheck returns the check value, nil if there is none, and its revision.
func (s *Store) readCheck(ctx context.Context) (*checkValue, int64, error) {
	var resp *clientv3.GetResponse
	err := s.call(ctx, reading, func(ctx context.Context) (err error) {
		resp, err = s.client.Get(ctx, s.prefix+checkName)
		return err
	}, func() int64 { return resp.Header.Revision })
	if err != nil || len(resp.Kvs) == 0 {
		return nil, 0, err
	}
	var v checkValue
	switch err := json.Unmarshal(resp.Kvs[0].Value, &v); {
	case err != nil || v.Format < 1 || v.Key == "":
		return nil, 0, fmt.Errorf("read %q: %w; is store.etcd.prefix right?", s.prefix+checkName, errNotCheck)
	case v.Format > format:
		return nil, 0, fmt.Errorf("a newer mfad has written %q, in format %d, and this one reads format %d: install the newer version here, too", s.prefix, v.Format, format)
	}
	return &v, resp.Kvs[0].ModRevision, nil
}

// mayBegin returns an error unless nothing is under the prefix, and nothing speaks against a
// new fleet.
func (s *Store) mayBegin(ctx context.Context, opts Options) error {
	var resp *clientv3.GetResponse
	err := s.call(ctx, reading, func(ctx context.Context) (err error) {
		resp, err = s.client.Get(ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithKeysOnly())
		return err
	}, func() int64 { return resp.Header.Revision })
	if err == nil && len(resp.Kvs) > 0 {
		err = fmt.Errorf("%q is missing, but there is %q: the prefix is another program's, or what tells the key of the fleet was deleted", s.prefix+checkName, resp.Kvs[0].Key)
	}
	if err == nil && opts.MayBegin != nil {
		err = opts.MayBegin()
	}
	return err
}

// admit gets the key, and compares it with the one that the fleet has.
func (s *Store) admit(ctx context.Context, opts Options) error {
	was, _, err := s.readCheck(ctx)
	if err != nil {
		return err
	}
	if was == nil {
		if err := s.mayBegin(ctx, opts); err != nil {
			return err
		}
		if s.key, err = opts.Key(""); err != nil {
			return err
		}
		return s.begin(ctx)
	}
	s.key, err = opts.Key(was.Key)
	if err == nil && !slices.Contains(s.key.IDs(), was.Key) {
		err = WrongKey(was.Key, s.key.ID())
	}
	return err
}

// WrongKey says that the fleet has another key than this host.
func WrongKey(fleet, here string) error {
	return fmt.Errorf("this host has key %s, but the fleet has key %s: copy secrets.key_file from another host of the fleet", here, fleet)
}

// begin writes the check value of a new store, unless another host was faster.
func (s *Store) begin(ctx context.Context) error {
	text, err := json.Marshal(checkValue{format, s.key.ID()})
	if err != nil {
		return err
	}
	err = s.call(ctx, writing, func(ctx context.Context) error {
		at := s.prefix + checkName
		_, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(at), "=", 0)).Then(clientv3.OpPut(at, string(text))).Commit()
		return err
	}, func() int64 { return s.past.newest() })
	if err != nil {
		return err
	}
	now, _, err := s.readCheck(ctx)
	switch {
	case err != nil:
		return err
	case now == nil || now.Key != s.key.ID():
		return errors.New("another host began the store at the same time, with another key: copy its secrets.key_file here")
	}
	return nil
}

// Check returns why the store cannot be read or written, or nil. After a write that failed
// it writes once more, to see whether that works again.
func (s *Store) Check(ctx context.Context) error {
	if _, _, err := s.readCheck(ctx); err != nil {
		return fmt.Errorf("check store: %w", err)
	}
	if s.health.last() == nil {
		return nil
	}
	const probe = "probe"
	err := s.call(ctx, writing, func(ctx context.Context) error {
		_, err := s.client.Put(ctx, s.prefix+probe, "")
		return err
	}, func() int64 { return s.past.newest() })
	if err != nil {
		return fmt.Errorf("check store: the last write failed: %w", err)
	}
	return nil
}

// Retag seals every record anew that needs a former key, and then says that the fleet has
// the newest one. A record that no key opens stays as it is.
func (s *Store) Retag(ctx context.Context) error {
	err := s.pages(ctx, s.prefix, clientv3.WithLimit(pageOfItems), func(whole string, value []byte, rev int64) error {
		key := whole[len(s.prefix):]
		if s.check(ctx, key) != nil {
			return ctx.Err() // not a record
		}
		plain, former, err := s.key.OpenRecord(value, whole)
		if err != nil || !former {
			return nil
		}
		_, err = s.swap(store.WithoutView(ctx), key, uint64(rev), s.key.SealRecord(plain, whole))
		if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
			err = nil // whoever was faster sealed it anew, or this is called again
		}
		return err
	})
	if err == nil {
		err = s.noteKey(ctx)
	}
	if err != nil {
		return fmt.Errorf("seal records anew: %w", err)
	}
	return nil
}

// noteKey says that the fleet has the newest key.
func (s *Store) noteKey(ctx context.Context) error {
	was, rev, err := s.readCheck(ctx)
	if err != nil || was == nil || was.Key == s.key.ID() {
		return err
	}
	text, err := json.Marshal(checkValue{was.Format, s.key.ID()})
	if err != nil {
		return err
	}
	at := s.prefix + checkName
	return s.call(ctx, writing, func(ctx context.Context) error {
		_, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(at), "=", rev)).Then(clientv3.OpPut(at, string(text))).Commit()
		return err
	}, func() int64 { return s.past.newest() })
}

// readFile reads a file that a key of mfa.toml names.
func readFile(key, path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	var where *os.PathError
	if errors.As(err, &where) {
		err = fmt.Errorf("%s: read %q: %w", key, where.Path, where.Err)
	}
	return data, err
}
