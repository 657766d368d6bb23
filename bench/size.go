package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// sizes measures what the module is in the process that loads it.
func sizes(b *bench) error {
	info, err := os.Stat(b.w.module)
	if err != nil {
		return err
	}
	kib := float64(info.Size()) / 1024
	// The module's table of symbols has all that it calls of libc.
	cmd := exec.Command("readelf", "-Ws", "--dyn-syms", b.w.module)
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("readelf: %w", err)
	}
	threads := 0
	for _, name := range []string{" pthread_create", " thrd_create", " clone", " fork", " posix_spawn"} {
		threads += strings.Count(string(out), name)
	}
	b.group.Rows = append(b.group.Rows,
		Row{Name: "pam_mfa.so", Unit: "KiB", Median: kib, N: 1},
		Row{Name: "calls in it that make a thread or a process", Unit: "", Median: float64(threads), N: 1})
	b.group.mustNotExceed("size of the module", "< 64 KiB", kib, 64)
	b.group.mustNotExceed("threads that the module makes", "0", float64(threads), 0)
	return nil
}
