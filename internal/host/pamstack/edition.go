package pamstack

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strconv"
)

// An edition is a way of reading /etc/pam.d.
type edition int

const (
	// since160 is that of Linux-PAM 1.6.0 and later, Debian 13's. It is assumed if no
	// libpam is found.
	since160 edition = iota
	// before160 is that of older ones, Debian 12's.
	before160
)

// libpams are where distributions keep libpam.
var libpams = []string{"usr/lib/*/libpam.so.0", "usr/lib64/libpam.so.0", "lib/*/libpam.so.0", "lib64/libpam.so.0", "usr/lib/libpam.so.0", "lib/libpam.so.0"}

// mark is what a libpam of 1.6.0 or later can say and no older one can. The version
// itself stands in none, and the library's own number did not change.
const mark = "maximum level of inclusions reached"

// editionOf returns the edition of the libpam below the root.
func editionOf(fsys fs.FS) edition {
	for _, pattern := range libpams {
		found, _ := fs.Glob(fsys, pattern)
		for _, name := range found {
			f, err := fsys.Open(name)
			if err != nil {
				continue
			}
			data, err := io.ReadAll(io.LimitReader(f, maxFile))
			_ = f.Close()
			switch {
			case err != nil || !bytes.HasPrefix(data, []byte("\x7fELF")):
			case bytes.Contains(data, []byte(mark)):
				return since160
			default:
				return before160
			}
		}
	}
	return since160
}

// tooDeep says whether libpam gives an include up that would be the depth-th within
// others, in so many substacks.
func (ed edition) tooDeep(depth, level int) bool {
	if ed == before160 {
		return level >= maxDepth
	}
	return depth >= maxDepth
}

// jump returns the number that digits are. One that does not fit is refused; before
// 1.6.0 its lower 32 bits are what counts.
func (ed edition) jump(digits string) (action, error) {
	if ed == before160 {
		n := uint32(0)
		for _, d := range []byte(digits) {
			n = n*10 + uint32(d-'0')
		}
		return action(n), nil //nolint:gosec // as the C does
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("not a number up to %d: %w", math.MaxInt32, err)
	}
	return action(n), nil
}
