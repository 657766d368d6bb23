package main

import "syscall"

// ptraced has a program begin stopped, traced by the thread that starts it, in a process
// group of its own.
func ptraced() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Ptrace: true, Setpgid: true}
}
