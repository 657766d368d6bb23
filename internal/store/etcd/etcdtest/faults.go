package etcdtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Dial returns a client of the members that run, or of those given. It ends with the test.
func (c *Cluster) Dial(t testing.TB, members ...*Member) *clientv3.Client {
	t.Helper()
	if members == nil {
		members = c.Members
	}
	conf := clientv3.Config{DialTimeout: 10 * time.Second, Logger: zap.NewNop()}
	for _, m := range members {
		if m.cmd != nil {
			conf.Endpoints = append(conf.Endpoints, m.Client)
		}
	}
	client, err := clientv3.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Leader returns the member that leads, as soon as one does.
func (c *Cluster) Leader(t testing.TB) *Member {
	t.Helper()
	client := c.Dial(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		for _, m := range c.Members {
			if m.cmd == nil {
				continue
			}
			if st, err := status(client, m); err == nil && st.Leader == st.Header.MemberId {
				return m
			}
		}
	}
	t.Fatal("no member leads")
	return nil
}

func status(client *clientv3.Client, m *Member) (*clientv3.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return client.Status(ctx, m.Client)
}

// Others returns the members but those.
func (c *Cluster) Others(but ...*Member) []*Member {
	return slices.DeleteFunc(slices.Clone(c.Members), func(m *Member) bool { return slices.Contains(but, m) })
}

// Part keeps back what some members of a cluster of StartApart and the others say to each
// other, until Rejoin.
func (c *Cluster) Part(t testing.TB, some ...*Member) {
	t.Helper()
	client := c.Dial(t)
	here := map[string]bool{}
	change(t, "list", func(ctx context.Context) error {
		now, err := client.MemberList(ctx)
		if err != nil {
			return err
		}
		for _, one := range now.Members {
			here[fmt.Sprintf("%x", one.ID)] = slices.ContainsFunc(some, func(m *Member) bool { return m.Name == one.Name })
		}
		return nil
	})
	for _, m := range c.Members {
		within := slices.Contains(some, m)
		m.peers.hangFor(func(from string) bool {
			in, known := here[from]
			return known && in != within
		})
	}
}

// Rejoin ends Part, and Delay.
func (c *Cluster) Rejoin() {
	for _, m := range c.Members {
		m.peers.Mend()
	}
}

// Delay has all that members of a cluster of StartApart say to each other arrive later.
func (c *Cluster) Delay(by time.Duration) {
	for _, m := range c.Members {
		m.peers.Delay(by)
	}
}

// Replace ends a member and its data, and has a new one take its place.
func (c *Cluster) Replace(t testing.TB, m *Member) {
	t.Helper()
	client := c.Dial(t, c.Others(m)...)
	m.Kill()
	change(t, "remove", func(ctx context.Context) error {
		now, err := client.MemberList(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(now.Members, func(one *etcdserverpb.Member) bool { return one.Name == m.Name })
		if i < 0 {
			return nil
		}
		_, err = client.MemberRemove(ctx, now.Members[i].ID)
		return err
	})
	change(t, "add", func(ctx context.Context) error {
		_, err := client.MemberAdd(ctx, []string{m.advertised()})
		if errors.Is(err, rpctypes.ErrPeerURLExist) {
			err = nil
		}
		return err
	})
	if err := os.RemoveAll(m.dir); err != nil {
		t.Fatal(err)
	}
	for i, arg := range m.args {
		if arg == "--initial-cluster-state" {
			m.args[i+1] = "existing"
		}
	}
	m.Start(t)
	m.awaitHealthy(t)
}

// change asks for or changes the members, again until etcd does it: to change them others
// have to be connected for 5 seconds.
func change(t testing.TB, what string, do func(context.Context) error) {
	t.Helper()
	var err error
	for range 60 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err = do(ctx)
		cancel()
		if err == nil {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Fatalf("%s member: %v", what, err)
}

// StartWith is Start with more arguments, this time, until the member is healthy.
func (m *Member) StartWith(t testing.TB, more ...string) {
	t.Helper()
	args := m.args
	m.args = slices.Concat(args, more)
	m.Start(t)
	m.args = args
	m.awaitHealthy(t)
}

// StartOnDisk is Start on a file system of that many bytes of the member's own; see Fill.
// It needs root.
func (m *Member) StartOnDisk(t testing.TB, bytes int) {
	t.Helper()
	args := m.args
	defer func() { m.args = args }()
	if err := os.MkdirAll(m.small(), 0o700); err != nil {
		t.Fatal(err)
	}
	const mount = `mount -t tmpfs -o mode=0700,size="$1" tmpfs "$2" && cp -a "$0"/. "$2" && mount --bind "$2" "$0" && shift 2 && exec "$@"`
	m.args = append([]string{"unshare", "--mount", "sh", "-c", mount, m.dir, fmt.Sprint(bytes), m.small()}, args...)
	m.Start(t)
	m.awaitHealthy(t)
}

func (m *Member) small() string { return m.dir + ".small" }

// Fill fills the disk of StartOnDisk.
func (m *Member) Fill(t testing.TB) {
	t.Helper()
	f, err := os.Create(filepath.Join("/proc", fmt.Sprint(m.cmd.Process.Pid), "root", m.small(), "fill"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
}

// zeros is a reader without an end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// Ended returns whether the process of the member ended by itself.
func (m *Member) Ended() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

// Host returns HOST:PORT of the member for clients.
func (m *Member) Host() string {
	_, host, _ := strings.Cut(m.Client, "://")
	return host
}
