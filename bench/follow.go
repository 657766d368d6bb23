package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// following is, in the environment, the endpoints that watches within this program follow.
const following = "MFA_BENCH_FOLLOW"

// follow watches as so many hosts do, each over a connection to one member, until SIGTERM.
func follow(endpoints, hosts string) error {
	n, err := strconv.Atoi(hosts)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	members := strings.Split(endpoints, ",")
	errs := make([]error, n)
	var there, all sync.WaitGroup
	there.Add(n)
	for i := range n {
		all.Go(func() { errs[i] = followOne(ctx, members[i%len(members)], there.Done) })
	}
	there.Wait()
	fmt.Println("there")
	all.Wait()
	return errors.Join(errs...)
}

// followOne watches as one host does, and calls there once it does.
func followOne(ctx context.Context, endpoint string, there func()) error {
	there = sync.OnceFunc(there)
	defer there()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer client.Close()
	for resp := range client.Watch(clientv3.WithRequireLeader(ctx), fleetPrefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify()) {
		if err := resp.Err(); err != nil && ctx.Err() == nil {
			return err
		}
		there()
	}
	return nil
}

// Followers are a process in which hosts follow.
type followers struct{ cmd *exec.Cmd }

// follow starts that many followers, and returns once they are there.
func (f *fleet) follow(n int) (*followers, error) {
	cmd := exec.Command("/proc/self/exe", strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	cmd.Env = []string{following + "=" + strings.Join(f.c.endpoints(), ",")}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if word, err := bufio.NewReader(out).ReadString('\n'); word != "there\n" {
		return nil, errors.Join(fmt.Errorf("the followers say %q", word), err)
	}
	return &followers{cmd}, nil
}

func (f *followers) stop() error {
	return errors.Join(f.cmd.Process.Signal(syscall.SIGTERM), f.cmd.Wait())
}
