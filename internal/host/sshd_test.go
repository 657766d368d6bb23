package host

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// An sshd that was told a moment ago takes its pid file away, makes it anew, empty, and
// writes its pid into it. Whoever tells it again meanwhile waits for that.
func TestHangUpWhileSSHDReads(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	sshd := filepath.Join(t.TempDir(), "sshd") // what is looked at is the name
	if out, err := exec.Command("cp", sleep, sshd).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// A run under nohup(1) ignores the signal, and so would what it starts.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for name, begin := range map[string]func(file string) error{
		"no file":       func(string) error { return nil },
		"an empty file": func(file string) error { return os.WriteFile(file, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(sshd, "600")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "sshd.pid")
			if err := begin(file); err != nil {
				t.Fatal(err)
			}
			write := func() {
				if err := os.WriteFile(file, fmt.Appendf(nil, "%d\n", cmd.Process.Pid), 0o600); err != nil {
					t.Error(err)
				}
			}
			ended := make(chan struct{})
			time.AfterFunc(50*time.Millisecond, write)
			go func() {
				defer close(ended)
				_ = cmd.Wait() // ends by the signal
				_ = os.Remove(file)
				write()
			}()
			err := hangUp(t.Context(), file)
			if err != nil {
				_ = cmd.Process.Kill()
			}
			<-ended
			if err != nil {
				t.Error(err)
			}
		})
	}
}
