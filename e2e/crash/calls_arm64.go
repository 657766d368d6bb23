package main

import "golang.org/x/sys/unix"

// byPath are the calls that change something that they name.
var byPath = map[uint64]bool{
	unix.SYS_MKDIRAT: true, unix.SYS_UNLINKAT: true, unix.SYS_FCHMODAT: true, unix.SYS_RENAMEAT: true,
	unix.SYS_RENAMEAT2: true, unix.SYS_LINKAT: true, unix.SYS_SYMLINKAT: true, unix.SYS_MKNODAT: true, unix.SYS_TRUNCATE: true,
	unix.SYS_OPENAT2: true,
}
