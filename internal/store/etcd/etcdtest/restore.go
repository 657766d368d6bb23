package etcdtest

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Snapshot saves what the member has, and returns the path of the copy.
func (m *Member) Snapshot(t testing.TB) string {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{m.Client}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	in, err := client.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	data, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "snapshot")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Restore puts a snapshot in the place of what the member has, which must not run and be
// the only one, as an administrator does; more are further arguments of the restore.
func (m *Member) Restore(t testing.TB, snapshot string, more ...string) {
	t.Helper()
	if err := os.RemoveAll(m.dir); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"snapshot", "restore", snapshot, "--data-dir", m.dir}, more...)
	for i, arg := range m.args {
		if arg == "--name" || arg == "--initial-cluster" || arg == "--initial-advertise-peer-urls" {
			args = append(args, arg, m.args[i+1])
		}
	}
	cmd := exec.Command(restorer(t), args...)
	cmd.Env = append(os.Environ(), "ETCDCTL_API=3") // or Debian 12's speaks another protocol
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
}

// restorer returns the program that restores a snapshot: etcdutl, which etcd brings since 3.5,
// beside etcd, or etcdctl.
func restorer(t testing.TB) string {
	t.Helper()
	dir := filepath.Dir(Program(t))
	for _, path := range []string{filepath.Join(dir, "etcdutl"), filepath.Join(dir, "etcdctl")} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return installed(t, "etcd-client", "etcdctl")
}
