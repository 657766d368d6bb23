package main

import "golang.org/x/sys/unix"

// byPath are the calls that change something that they name.
var byPath = map[uint64]bool{
	unix.SYS_MKDIRAT: true, unix.SYS_UNLINKAT: true, unix.SYS_FCHMODAT: true, unix.SYS_RENAMEAT: true,
	unix.SYS_RENAMEAT2: true, unix.SYS_LINKAT: true, unix.SYS_SYMLINKAT: true, unix.SYS_MKNODAT: true, unix.SYS_TRUNCATE: true,
	unix.SYS_OPENAT2: true,
	// The C library of old has these; the model does not.
	unix.SYS_RENAME: true, unix.SYS_UNLINK: true, unix.SYS_MKDIR: true, unix.SYS_RMDIR: true, unix.SYS_LINK: true,
	unix.SYS_SYMLINK: true, unix.SYS_CHMOD: true, unix.SYS_CREAT: true, unix.SYS_MKNOD: true,
}
