package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// floored is, in the environment, the file that the empty daemon within this program
// overwrites.
const floored = "MFA_BENCH_FLOOR"

const rowFloor = "an empty daemon in Go behind the module: one question, one synced overwrite"

// floorBlocks is how many blocks the empty daemon overwrites in turns.
const floorBlocks = 256

// serveFloor is the least that a daemon in Go can be: it asks for a code, overwrites a
// block with a sync, and lets everybody in. The time that mfad takes beyond it is that of
// mfad's own work; the time below it is that of a relay, a socket, Go and the disk.
func serveFloor(socket, file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR|unix.O_DIRECT|unix.O_DSYNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	block := aligned(blockSize)
	for i := range int64(floorBlocks) { // what is overwritten later is on the disk before
		if _, err := f.WriteAt(block, i*blockSize); err != nil {
			return err
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() { _ = l.Close() })
	var all sync.WaitGroup
	defer all.Wait()
	var next atomic.Int64
	for {
		c, err := l.Accept()
		if err != nil {
			return nil // closed
		}
		all.Go(func() {
			defer c.Close()
			if err := floorLogin(c, f, block, next.Add(1)%floorBlocks); err != nil {
				fmt.Fprintln(os.Stderr, "bench: the empty daemon:", err)
			}
		})
	}
}

// blockSize is that of one synced overwrite, in bytes.
const blockSize = 4096

// aligned returns n bytes at an address that open(2) wants for O_DIRECT.
func aligned(n int) []byte {
	b := make([]byte, n+blockSize)
	off := -int(uintptr(unsafe.Pointer(&b[0]))) & (blockSize - 1)
	return b[off : off+n]
}

func floorLogin(c net.Conn, f *os.File, block []byte, n int64) error {
	if _, err := wire.Read(c); err != nil {
		return nil // the one who asks whether it is there
	}
	if err := wire.Write(c, wire.EncodePrompt(mfa.Prompt{Kind: mfa.Ask, Text: "Code: "})); err != nil {
		return err
	}
	if _, err := wire.ReadAnswer(c); err != nil {
		return err
	}
	if _, err := f.WriteAt(block, n*blockSize); err != nil {
		return err
	}
	return wire.Write(c, wire.EncodeDone(mfa.Verdict{Outcome: mfa.Accepted}))
}

// A floor is an empty daemon that runs.
type floor struct{ cmd *exec.Cmd }

// startFloor starts the empty daemon and writes the stack that asks it.
func startFloor(w *world) (*floor, error) {
	socket := own + "/floor.sock"
	cmd := exec.Command("/proc/self/exe", socket)
	cmd.Stderr = os.Stderr
	cmd.Env = []string{floored + "=" + filepath.Join(w.disk, "floor")}
	if err := errors.Join(service("bench-floor", w.module+" socket="+socket), cmd.Start()); err != nil {
		return nil, err
	}
	fl := &floor{cmd}
	for range 500 {
		if c, err := net.Dial("unix", socket); err == nil {
			return fl, c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, errors.Join(errors.New("the empty daemon does not listen"), fl.stop())
}

// cpu returns its processor time so far.
func (f *floor) cpu() (time.Duration, error) { return cpuOf(f.cmd.Process.Pid) }

func (f *floor) stop() error {
	if err := f.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return f.cmd.Wait()
}
