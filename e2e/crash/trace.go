package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A tracer runs a program under ptrace(2) and notes what it does to the disk. Calls that
// do something are let through one at a time, whichever thread makes them: so the notes
// have the order of the disk.
type tracer struct {
	rec  *recording
	disk string // the folder whose changes are noted
	mail string // the folder where messages are handed over

	env    string // of the program, beside PATH
	killAt int    // the operation before which the program is killed; 0: none

	pid     int
	threads map[int]*thread
	busy    int   // the thread whose call is under way; 0: none
	waiting []int // threads that stand before such a call
}

// A thread is one of the traced program.
type thread struct {
	call  *call // that it is in; nil: none of interest
	begun bool  // it was seen to stop
}

// A call is a system call that may do something to the disk.
type call struct {
	nr   uint64
	args [6]uint64
	op   *op // what it does if it goes well
}

// syscallInfo is struct ptrace_syscall_info of ptrace(2); the arguments of an entry, or the
// result of an exit, follow in data.
type syscallInfo struct {
	op   uint8
	_    [3]uint8
	arch uint32
	ip   uint64
	sp   uint64
	data [8]uint64
}

// Values of syscallInfo.op.
const (
	infoEntry = 1
	infoExit  = 2
)

// info returns at which end of which call a stopped thread is.
func info(tid int) (syscallInfo, error) {
	var si syscallInfo
	_, _, e := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid), unsafe.Sizeof(si), uintptr(unsafe.Pointer(&si)), 0, 0)
	if e != 0 {
		return si, e
	}
	return si, nil
}

// spawn starts a program whose thread that calls it is the only one that may trace it, and
// returns once it stands at its beginning.
func (t *tracer) spawn(path string, args []string, out *os.File) error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	p, err := os.StartProcess(path, append([]string{path}, args...), &os.ProcAttr{
		Dir: "/", Env: []string{"PATH=/usr/bin:/bin", t.env}, Files: []*os.File{null, out, out}, Sys: ptraced(),
	})
	if err != nil {
		return err
	}
	t.pid = p.Pid
	t.threads = map[int]*thread{t.pid: {begun: true}}
	var ws unix.WaitStatus
	if _, err := unix.Wait4(t.pid, &ws, unix.WALL, nil); err != nil || !ws.Stopped() {
		return fmt.Errorf("trace %q: %v, %w", path, ws, err)
	}
	if err := unix.PtraceSetOptions(t.pid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL); err != nil {
		return err
	}
	return unix.PtraceSyscall(t.pid, 0)
}

// run traces a program to its end and returns how it ended. Begun is called once it runs.
func (t *tracer) run(path string, args []string, out *os.File, begun func(pid int, err error)) (unix.WaitStatus, error) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	err := t.spawn(path, args, out)
	begun(t.pid, err)
	if err != nil {
		return 0, err
	}
	for {
		var ws unix.WaitStatus
		tid, err := unix.Wait4(-t.pid, &ws, unix.WALL|unix.WNOTHREAD, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("wait for %q: %w", path, err)
		}
		if ws.Exited() || ws.Signaled() {
			delete(t.threads, tid)
			if tid == t.pid {
				return ws, t.rec.problem()
			}
			_ = t.leave(tid) // an error is that the program is gone
			continue
		}
		if err := t.stopped(tid, ws); err != nil && !errors.Is(err, unix.ESRCH) { // it was killed
			_ = unix.Kill(t.pid, unix.SIGKILL)
			t.rec.broken(err)
		}
	}
}

// stopped looks at a thread that stopped, and has it go on.
func (t *tracer) stopped(tid int, ws unix.WaitStatus) error {
	th := t.threads[tid]
	if th == nil {
		th = &thread{}
		t.threads[tid] = th
	}
	switch sig := ws.StopSignal(); {
	case sig == unix.SIGTRAP|0x80:
		return t.atCall(tid, th)
	case sig == unix.SIGTRAP:
		return unix.PtraceSyscall(tid, 0) // of ptrace itself: a thread was made, a program begins
	case sig == unix.SIGSTOP && !th.begun:
		th.begun = true
		return unix.PtraceSyscall(tid, 0)
	default:
		return unix.PtraceSyscall(tid, int(sig))
	}
}

// atCall looks at a thread that begins or ends a call.
func (t *tracer) atCall(tid int, th *thread) error {
	si, err := info(tid)
	if err != nil {
		return err
	}
	if si.op == infoExit {
		if th.call != nil {
			c := th.call
			th.call = nil
			t.ended(c, int64(si.data[0]))
			if err := unix.PtraceSyscall(tid, 0); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
			return t.leave(tid)
		}
		return unix.PtraceSyscall(tid, 0)
	}
	if si.op == infoEntry && ofInterest[si.data[0]] {
		c := &call{nr: si.data[0], args: [6]uint64(si.data[1:7])}
		if t.touches(c) {
			th.call = c
			t.waiting = append(t.waiting, tid)
			return t.next()
		}
	}
	return unix.PtraceSyscall(tid, 0)
}

// next lets the first thread that waits make its call, if none is under way.
func (t *tracer) next() error {
	if t.busy != 0 || len(t.waiting) == 0 {
		return nil
	}
	tid := t.waiting[0]
	t.waiting = t.waiting[1:]
	th := t.threads[tid]
	if th == nil {
		return t.next()
	}
	if err := t.begins(th.call); err != nil {
		return err
	}
	if t.killAt > 0 && t.rec.len() >= t.killAt {
		return unix.Kill(t.pid, unix.SIGKILL) // the call is never made
	}
	t.busy = tid
	return unix.PtraceSyscall(tid, 0)
}

// leave notes that a call is over.
func (t *tracer) leave(tid int) error {
	if t.busy == tid {
		t.busy = 0
	}
	return t.next()
}

// link returns what a descriptor of the program stands for.
func (t *tracer) link(fd uint64) string {
	name, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", t.pid, int32(fd)))
	if err != nil {
		return ""
	}
	return name
}

// text reads a text that ends with a zero byte from the program's memory.
func (t *tracer) text(at uint64) string {
	var all []byte
	for len(all) < unix.PathMax {
		part, err := t.bytes(at+uint64(len(all)), min(256, 4096-(at+uint64(len(all)))%4096))
		if err != nil || len(part) == 0 {
			return string(all)
		}
		if i := bytes.IndexByte(part, 0); i >= 0 {
			return string(append(all, part[:i]...))
		}
		all = append(all, part...)
	}
	return string(all)
}

// bytes reads the program's memory.
func (t *tracer) bytes(at, n uint64) ([]byte, error) {
	b := make([]byte, n)
	if n == 0 {
		return b, nil
	}
	local := []unix.Iovec{{Base: &b[0]}}
	local[0].SetLen(len(b))
	got, err := unix.ProcessVMReadv(t.pid, local, []unix.RemoteIovec{{Base: uintptr(at), Len: len(b)}}, 0)
	if err != nil {
		return nil, err
	}
	return b[:got], nil
}

// gathered reads what the n buffers of an array of struct iovec hold.
func (t *tracer) gathered(at, n uint64) ([]byte, error) {
	table, err := t.bytes(at, n*16)
	if err != nil {
		return nil, err
	}
	var all []byte
	for ; len(table) >= 16; table = table[16:] {
		part, err := t.bytes(binary.NativeEndian.Uint64(table), binary.NativeEndian.Uint64(table[8:]))
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	return all, nil
}

// path returns the path that a call names relative to a folder's descriptor.
func (t *tracer) path(dirfd, name uint64) string {
	p := t.text(name)
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	dir := "/" // where the program was started
	if int32(dirfd) != unix.AT_FDCWD {
		dir = t.link(dirfd)
	}
	return filepath.Join(dir, p)
}

// An open file's flags and its place, from /proc/PID/fdinfo.
func (t *tracer) fdinfo(fd uint64) (pos int64, flags int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", t.pid, int32(fd))) // an error: zeros
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); name {
		case "pos":
			pos, _ = strconv.ParseInt(value, 10, 64)
		case "flags":
			f, _ := strconv.ParseInt(value, 8, 64)
			flags = int(f)
		}
	}
	return pos, flags
}
