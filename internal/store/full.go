package store

import (
	"errors"

	"golang.org/x/sys/unix"
)

// IsFull reports whether an error is that of a disk or a quota with no room for a write.
func IsFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
