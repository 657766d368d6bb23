package store

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestIsFull(t *testing.T) {
	for err, want := range map[error]bool{
		fmt.Errorf("put: %w", &os.PathError{Op: "write", Path: "state.db", Err: unix.ENOSPC}): true,
		errors.Join(errors.New("other"), unix.EDQUOT):                                         true,
		unix.EROFS:      false,
		unix.EFBIG:      false,
		ErrUnreachable:  false,
		errors.New("x"): false,
	} {
		if IsFull(err) != want {
			t.Errorf("%v: want %v", err, want)
		}
	}
	if IsFull(nil) {
		t.Error("no error is that of a full disk")
	}
}
