package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// inMemory are file systems that keep nothing on a disk.
var inMemory = map[int64]string{unix.TMPFS_MAGIC: "a tmpfs", unix.RAMFS_MAGIC: "a ramfs"}

// diskFolder makes a folder under parent. It refuses a file system in memory, unless
// anyway: a sync costs nothing there, and so the comparison is worth nothing.
func diskFolder(parent string, anyway bool) (string, error) {
	memory, err := memoryOf(parent)
	if err != nil {
		return "", err
	}
	if memory != "" && !anyway {
		return "", fmt.Errorf("%s is on %s: syncs cost nothing there, and figures would be worth nothing; mount a disk on it", parent, memory)
	}
	dir, err := os.MkdirTemp(parent, "mfa-bench-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755) // modules go there as the users
}

// memoryOf says in words what a folder is on that is no disk, or may be none; "" if it is
// on a disk.
func memoryOf(dir string) (string, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return "", fmt.Errorf("look at the file system of %q: %w", dir, err)
	}
	if fs.Type != unix.OVERLAYFS_SUPER_MAGIC {
		return inMemory[fs.Type], nil
	}
	out, err := exec.Command("findmnt", "-n", "-o", "OPTIONS", "-T", dir).Output()
	if err != nil {
		return "", fmt.Errorf("findmnt -T %s: %w", dir, err)
	}
	_, upper, _ := strings.Cut(string(out), "upperdir=")
	upper, _, _ = strings.Cut(strings.TrimSpace(upper), ",")
	if unix.Statfs(upper, &fs) != nil {
		return "an overlay whose upper layer cannot be seen and may be in memory", nil
	}
	return inMemory[fs.Type], nil
}

// describe says what the figures were measured on.
func describe(w *world) []string {
	var u unix.Utsname
	_ = unix.Uname(&u)
	return []string{
		fmt.Sprintf("processor: %s, %d cores", firstField("/proc/cpuinfo", "model name"), runtime.NumCPU()),
		"memory: " + firstField("/proc/meminfo", "MemTotal"),
		"disk: " + diskOf(w.disk) + notOnDisk(w.disk),
		"kernel: " + unix.ByteSliceToString(u.Release[:]),
		"system: " + strings.Trim(firstValue("/etc/os-release", "PRETTY_NAME", "="), `"`),
		"go: " + runtime.Version(),
		"peers: " + packages("libpam-google-authenticator", "libpam-oath", "libpam0g", "openssh-server"),
	}
}

// notOnDisk says that figures are worth nothing, where they are.
func notOnDisk(dir string) string {
	if memory, err := memoryOf(dir); err != nil || memory != "" {
		return "; **this is " + memory + ": the figures are worth nothing**"
	}
	return ""
}

func firstField(file, name string) string { return firstValue(file, name, ":") }

// firstValue returns the value behind a name in a file of lines NAME SEPARATOR VALUE.
func firstValue(file, name, separator string) string {
	f, err := os.Open(file)
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), separator); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// diskOf returns the device, the file system and the mount's options of a folder.
func diskOf(dir string) string {
	out, err := exec.Command("findmnt", "-n", "-o", "SOURCE,FSTYPE,OPTIONS", "-T", dir).Output()
	if err != nil {
		return "unknown"
	}
	fields := strings.Fields(string(out))
	text := strings.Join(fields, " ")
	if len(fields) > 0 {
		base := filepath.Base(fields[0])
		if model, err := os.ReadFile("/sys/class/block/" + base + "/device/model"); err == nil {
			text += ", " + strings.TrimSpace(string(model))
		}
		if cache, err := os.ReadFile("/sys/class/block/" + base + "/queue/write_cache"); err == nil {
			text += ", " + strings.TrimSpace(string(cache))
		}
	}
	return text
}

func packages(names ...string) string {
	out, err := exec.Command("dpkg-query", append([]string{"-W", "-f", "${Package} ${Version}, "}, names...)...).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSuffix(string(out), ", ")
}

// commit names the source that was measured; what the bench writes itself does not count.
func commit() string {
	git := func(args ...string) (string, error) {
		out, err := exec.Command("git", append([]string{"-c", "safe.directory=*"}, args...)...).Output()
		return strings.TrimSpace(string(out)), err
	}
	name, err := git("rev-parse", "--short=12", "HEAD")
	if err != nil {
		return "unknown"
	}
	if changed, err := git("status", "--porcelain", "--", ".", ":!docs/bench"); err != nil || changed != "" {
		name += " and changes"
	}
	return name
}
