package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// A cluster is some members of an etcd on the disk, all on this machine.
type cluster struct {
	name    string // of its files
	members []*member
	client  *clientv3.Client // of all members
	hops    []*hop           // to the members; none: they are next to everybody
}

// A member is one etcd process.
type member struct {
	url    string
	behind string // the url that others reach it by
	cmd    *exec.Cmd
}

// firstPort is that of the first member; nobody else listens in this world.
const firstPort = 20000

// startCluster starts n members, as they come but for their ports, the largest database that
// etcd recommends, and more patience with each other: they share the cores. All that is said to
// a member, and all it says, is that far away.
func (b *bench) startCluster(n int, away time.Duration) (_ *cluster, err error) {
	c := &cluster{name: fmt.Sprint("fleet", n)}
	if away > 0 {
		c.name += "-away"
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.stop())
		}
	}()
	var peers []string
	for i := range n {
		peer, err := c.reach(fmt.Sprintf("127.0.0.1:%d", firstPort+10*n+5+i), away)
		if err != nil {
			return nil, err
		}
		peers = append(peers, fmt.Sprintf("m%d=%s", i, peer))
	}
	for i := range n {
		addr := fmt.Sprintf("127.0.0.1:%d", firstPort+10*n+i)
		m := &member{url: "http://" + addr}
		if m.behind, err = c.reach(addr, away); err != nil {
			return nil, err
		}
		_, peer, _ := strings.Cut(peers[i], "=")
		name := fmt.Sprintf("%s-etcd%d", c.name, i)
		log, err := os.OpenFile(own+"/"+name+".log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		defer log.Close()
		m.cmd = exec.Command("etcd", "--name", fmt.Sprint("m", i), "--data-dir", filepath.Join(b.w.disk, name),
			"--logger", "zap", "--log-level", "error", "--election-timeout", "5000", "--quota-backend-bytes", strconv.Itoa(mostDatabase),
			"--listen-client-urls", m.url, "--advertise-client-urls", m.behind,
			"--listen-peer-urls", fmt.Sprintf("http://127.0.0.1:%d", firstPort+10*n+5+i), "--initial-advertise-peer-urls", peer, "--initial-cluster", strings.Join(peers, ","))
		m.cmd.Stdout, m.cmd.Stderr = log, log
		if err := m.cmd.Start(); err != nil {
			return nil, err
		}
		c.members = append(c.members, m)
	}
	c.client, err = clientv3.New(clientv3.Config{Endpoints: c.endpoints(), Logger: zap.NewNop()})
	if err != nil {
		return nil, err
	}
	return c, c.await()
}

// mostDatabase is the largest database that etcd's manual suggests, in bytes.
const mostDatabase = 8 << 30

func (c *cluster) endpoints() (all []string) {
	for _, m := range c.members {
		all = append(all, m.behind)
	}
	return all
}

// reach returns the URL by which a server at that address is reached, so far away.
func (c *cluster) reach(addr string, away time.Duration) (string, error) {
	if away == 0 {
		return "http://" + addr, nil
	}
	h, err := newHop(addr, away)
	if err != nil {
		return "", err
	}
	c.hops = append(c.hops, h)
	return "http://" + h.addr, nil
}

// await waits until every member answers.
func (c *cluster) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, m := range c.members {
		for {
			_, err := m.metric(ctx, "etcd_server_has_leader 1")
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("etcd is not ready: %w", err)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}

func (c *cluster) stop() (err error) {
	if c.client != nil {
		err = c.client.Close()
	}
	for _, m := range c.members {
		err = errors.Join(err, m.cmd.Process.Kill())
		_ = m.cmd.Wait() // killed
	}
	for _, h := range c.hops {
		err = errors.Join(err, h.stop())
	}
	return err
}

// cpu returns the processor time of all members so far.
func (c *cluster) cpu() (all time.Duration, err error) {
	for _, m := range c.members {
		one, err := cpuOf(m.cmd.Process.Pid)
		if err != nil {
			return 0, err
		}
		all += one
	}
	return all, nil
}

// metric returns the sum of the values whose lines in the member's metrics begin with name.
// It is an error if there is none.
func (m *member) metric(ctx context.Context, name string) (sum float64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	found := false
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), name) {
			continue
		}
		v, err := strconv.ParseFloat(lines.Text()[strings.LastIndexByte(lines.Text(), ' ')+1:], 64)
		if err != nil {
			return 0, err
		}
		found, sum = true, sum+v
	}
	if !found {
		err = fmt.Errorf("etcd has no metric %q", name)
	}
	return sum, errors.Join(err, lines.Err())
}

// sent returns the bytes that all members have sent to clients so far.
func (c *cluster) sent() (sum float64, err error) {
	for _, m := range c.members {
		one, err := m.metric(context.Background(), "etcd_network_client_grpc_sent_bytes_total ")
		if err != nil {
			return 0, err
		}
		sum += one
	}
	return sum, nil
}

// memory returns what a member has in memory, in MiB.
func (c *cluster) memory(i int) float64 {
	return memoryOfProcess(c.members[i].cmd.Process.Pid, "VmRSS")
}
