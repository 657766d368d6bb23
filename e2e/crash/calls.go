package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A kind is what an operation does.
type kind string

// The kinds.
const (
	create   kind = "create"   // of a file
	mkdir    kind = "mkdir"    // of a folder
	write    kind = "write"    // of data
	truncate kind = "truncate" // to size
	chmod    kind = "chmod"
	rename   kind = "rename" // path becomes to
	link     kind = "link"   // path is to, too
	unlink   kind = "unlink"
	fsync    kind = "fsync"     // of a file with all that is known of it
	datasync kind = "fdatasync" // of a file's data
	syncDir  kind = "syncdir"
	sent     kind = "sent"    // something left for somebody outside; it changes nothing on the disk
	strange  kind = "strange" // a call that the model does not know
)

// outbox is the path of what is sent by mail.
const outbox = "mail"

// An op is one operation, done. Paths are relative to the folder that is looked at.
type op struct {
	Kind   kind
	Path   string
	To     string
	Off    int64
	Size   int64
	Data   []byte
	Mode   os.FileMode
	Synced bool // on the disk when it returned (O_DSYNC)
	Direct bool // past the cache (O_DIRECT), which is not synced
}

// ofInterest are the calls that are looked at.
var ofInterest = func() map[uint64]bool {
	all := map[uint64]bool{}
	for _, nr := range []uint64{
		unix.SYS_OPENAT, unix.SYS_MMAP, unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_WRITEV, unix.SYS_PWRITEV, unix.SYS_PWRITEV2,
		unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG, unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE, unix.SYS_FCHMOD, unix.SYS_FCHOWN,
		unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_SYNC_FILE_RANGE, unix.SYS_COPY_FILE_RANGE, unix.SYS_SENDFILE, unix.SYS_SPLICE,
	} {
		all[nr] = true
	}
	for nr := range byPath {
		all[nr] = true
	}
	return all
}()

// String names an operation for people.
func (o op) String() string {
	s := string(o.Kind)
	if o.Path != "" {
		s += " " + o.Path
	}
	switch o.Kind {
	case rename, link:
		s += " to " + o.To
	case write:
		s += fmt.Sprintf(" %d bytes at %d", len(o.Data), o.Off)
		if o.Synced {
			s += " synced"
		}
	case truncate:
		s += fmt.Sprintf(" to %d", o.Size)
	case sent:
		s += fmt.Sprintf(" %d bytes", o.Size)
	}
	return s
}

// under returns a path relative to a folder, and whether it lies in it.
func under(dir, path string) (string, bool) {
	if rest, ok := strings.CutPrefix(path, dir+"/"); ok && rest != "" {
		return rest, true
	}
	return "", false
}

// touches reports whether a call may do something that is noted. It looks at nothing that
// another thread could change meanwhile.
func (t *tracer) touches(c *call) bool {
	if byPath[c.nr] {
		return true
	}
	if c.nr == unix.SYS_OPENAT {
		return c.args[2]&(unix.O_CREAT|unix.O_TRUNC) != 0
	}
	if c.nr == unix.SYS_MMAP {
		return c.args[3]&unix.MAP_SHARED != 0 && c.args[2]&unix.PROT_WRITE != 0 && int32(c.args[4]) >= 0
	}
	if c.nr == unix.SYS_COPY_FILE_RANGE {
		c.args[0] = c.args[2] // where it goes to
	}
	name := t.link(c.args[0])
	_, in := under(t.disk, name)
	return in || name == t.disk || isTalk(name)
}

// isTalk reports whether a descriptor leads out of the program.
func isTalk(name string) bool {
	return strings.HasPrefix(name, "socket:") || strings.HasPrefix(name, "pipe:")
}

// begins notes what a call is about to do; all that it looks at stays so until it ended.
func (t *tracer) begins(c *call) error {
	o, err := t.meant(c)
	if err != nil || o == nil {
		return err
	}
	c.op = o
	if o.Kind == sent {
		t.rec.add(*o) // before anybody can have heard it
		c.op = nil
	}
	return nil
}

// meant returns what a call will do if it goes well; nil: nothing that is noted.
func (t *tracer) meant(c *call) (*op, error) {
	switch {
	case byPath[c.nr]:
		return t.named(c)
	case c.nr == unix.SYS_OPENAT:
		return t.opens(t.path(c.args[0], c.args[1]), int(c.args[2]), os.FileMode(c.args[3]))
	case c.nr == unix.SYS_MMAP:
		if rel, in := under(t.disk, t.link(c.args[4])); in {
			return &op{Kind: strange, Path: rel, To: "mmap"}, nil
		}
		return nil, nil
	}
	name := t.link(c.args[0])
	if isTalk(name) {
		return &op{Kind: sent, Size: int64(c.args[2])}, nil
	}
	rel, in := under(t.disk, name)
	if !in && name != t.disk {
		return nil, nil
	}
	return t.ofFile(c, name, rel)
}

// ofFile is meant for a call by a descriptor of a file or folder that is looked at.
func (t *tracer) ofFile(c *call, name, rel string) (*op, error) {
	o := &op{Path: rel}
	pos, flags := t.fdinfo(c.args[0])
	o.Synced, o.Direct = flags&unix.O_DSYNC != 0, flags&unix.O_DIRECT != 0
	info, err := os.Lstat(name)
	if err != nil {
		return nil, nil // it has no name any more
	}
	if flags&unix.O_APPEND != 0 {
		pos = info.Size()
	}
	switch c.nr {
	case unix.SYS_WRITE:
		o.Kind, o.Off = write, pos
		o.Data, err = t.bytes(c.args[1], c.args[2])
	case unix.SYS_PWRITE64:
		o.Kind, o.Off = write, int64(c.args[3])
		o.Data, err = t.bytes(c.args[1], c.args[2])
	case unix.SYS_WRITEV:
		o.Kind, o.Off = write, pos
		o.Data, err = t.gathered(c.args[1], c.args[2])
	case unix.SYS_PWRITEV, unix.SYS_PWRITEV2:
		o.Kind, o.Off = write, int64(c.args[3])
		o.Data, err = t.gathered(c.args[1], c.args[2])
	case unix.SYS_FTRUNCATE:
		o.Kind, o.Size = truncate, int64(c.args[1])
	case unix.SYS_FCHMOD:
		o.Kind, o.Mode = chmod, os.FileMode(c.args[1])
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC:
		switch {
		case info.IsDir():
			o.Kind = syncDir
		case c.nr == unix.SYS_FSYNC:
			o.Kind = fsync
		default:
			o.Kind = datasync
		}
	case unix.SYS_FCHOWN:
		return nil, nil // the model has one owner
	default:
		o.Kind, o.To = strange, fmt.Sprint("call ", c.nr)
	}
	return o, err
}

// opens is meant for a file that is opened to be made or emptied.
func (t *tracer) opens(path string, flags int, mode os.FileMode) (*op, error) {
	rel, in := under(t.disk, path)
	if !in {
		return nil, nil
	}
	info, err := os.Lstat(path)
	switch {
	case err != nil && flags&unix.O_CREAT != 0:
		return &op{Kind: create, Path: rel, Mode: mode & 0o777}, nil
	case err == nil && flags&unix.O_TRUNC != 0 && info.Size() > 0:
		return &op{Kind: truncate, Path: rel}, nil
	}
	return nil, nil
}

// named is meant for a call that names paths.
func (t *tracer) named(c *call) (*op, error) {
	a := c.args
	switch c.nr {
	case unix.SYS_MKDIRAT:
		if rel, in := under(t.disk, t.path(a[0], a[1])); in {
			return &op{Kind: mkdir, Path: rel, Mode: os.FileMode(a[2]) & 0o777}, nil
		}
	case unix.SYS_UNLINKAT:
		if rel, in := under(t.disk, t.path(a[0], a[1])); in {
			return &op{Kind: unlink, Path: rel}, nil
		}
	case unix.SYS_FCHMODAT:
		if rel, in := under(t.disk, t.path(a[0], a[1])); in {
			return &op{Kind: chmod, Path: rel, Mode: os.FileMode(a[2]) & 0o777}, nil
		}
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		return t.moves(rename, t.path(a[0], a[1]), t.path(a[2], a[3])), nil
	case unix.SYS_LINKAT:
		return t.moves(link, t.path(a[0], a[1]), t.path(a[2], a[3])), nil
	default:
		p := t.text(a[0])
		if rel, in := under(t.disk, filepath.Clean(p)); in {
			return &op{Kind: strange, Path: rel, To: fmt.Sprint("call ", c.nr)}, nil
		}
	}
	return nil, nil
}

// moves is meant for a file that gets another name, or one more.
func (t *tracer) moves(k kind, from, to string) *op {
	a, fromIn := under(t.disk, from)
	b, toIn := under(t.disk, to)
	_, mail := under(t.mail, to)
	switch {
	case fromIn && toIn:
		return &op{Kind: k, Path: a, To: b}
	case fromIn || toIn:
		return &op{Kind: strange, Path: from, To: to}
	case mail:
		return &op{Kind: sent, Path: outbox}
	}
	return nil
}

// ended notes what a call did.
func (t *tracer) ended(c *call, result int64) {
	if c.op == nil || result < 0 {
		return
	}
	if c.op.Kind == write {
		c.op.Data = c.op.Data[:min(int64(len(c.op.Data)), result)]
	}
	t.rec.add(*c.op)
}
