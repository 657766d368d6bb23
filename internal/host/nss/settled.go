package nss

import (
	"io"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"mfa/internal/host/file"
	"mfa/internal/mfa"
)

// maxPlain bounds the accounts that are kept in memory, in bytes of /etc/passwd: some
// 50,000. On a machine with more, libc is asked at each login.
const maxPlain = 4 << 20

// settled answers for the accounts that /etc/passwd alone settles: most logins need no
// libc, which reads that file from its beginning three times for each of them.
var settled = plainCache{now: file.Now}

// A plainCache has the Plain of the two files as they are on the disk; file.Mark says how
// long a reading counts. It may be used from many goroutines.
type plainCache struct {
	now func() file.Moment

	mu   sync.Mutex // held while one reads anew
	last atomic.Pointer[plainReading]
}

// A plainReading is a Plain and the Marks of what it was read from. It never changes.
type plainReading struct {
	plain            Plain
	config, accounts markedFile
}

// account returns the account that Lookup of the name is sure to return; known is false
// where libc has to be asked. A name that the last reading does not have costs nothing
// more: libc sees a file that has it by now.
func (c *plainCache) account(name string) (id mfa.Identity, known bool) {
	now, r := c.now(), c.last.Load()
	if r == nil || r.old(now) {
		r = c.readAnew(now)
	} else if id, known = r.plain.Account(name); !known || r.counts(now) {
		return id, known
	} else {
		r = c.readAnew(now)
	}
	if r == nil {
		return mfa.Identity{}, false
	}
	return r.plain.Account(name)
}

// old reports whether neither Mark counts any more, whatever became of the files.
func (r *plainReading) old(now file.Moment) bool { return r.config.mark.Old(now) }

func (r *plainReading) counts(now file.Moment) bool {
	return r.config.counts(now) && r.accounts.counts(now)
}

// readAnew reads both files, from the moment now on, and keeps the reading. It returns nil
// where a reading would not count, and while another goroutine reads.
func (c *plainCache) readAnew(now file.Moment) *plainReading {
	if !c.mu.TryLock() {
		return nil
	}
	defer c.mu.Unlock()
	config, ok := readMarked(configFile, now)
	if !ok {
		return nil
	}
	accounts, ok := readMarked(passwdFile, now)
	if !ok {
		return nil
	}
	r := &plainReading{parsePlain(config.text, accounts.text), config, accounts}
	r.config.text, r.accounts.text = nil, nil
	c.last.Store(r)
	return r
}

// A markedFile is a file that was read.
type markedFile struct {
	path string
	mark file.Mark
	text []byte
}

func (f *markedFile) counts(now file.Moment) bool { return f.mark.Counts(f.path, now) }

// readMarked reads a file that is no link, if it is not too big and any later change is sure to be seen.
func readMarked(path string, now file.Moment) (f markedFile, ok bool) {
	in, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return f, false
	}
	defer in.Close()
	var st unix.Stat_t
	if unix.Fstat(int(in.Fd()), &st) != nil || st.Size > maxPlain {
		return f, false
	}
	if f.mark, ok = file.MarkOf(int(in.Fd()), &st, now); !ok {
		return f, false
	}
	f.path = path
	f.text, err = io.ReadAll(io.LimitReader(in, maxPlain+1))
	return f, err == nil && int64(len(f.text)) == st.Size
}
