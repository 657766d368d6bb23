package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"mfa/internal/config"
	"mfa/internal/config/disk"
	"mfa/internal/deliver"
	"mfa/internal/host/doctor"
	"mfa/internal/store"
	"mfa/internal/text"
	"mfa/internal/wire"
)

// check prints whether cfg, read from path, is good, and returns the exit code. A
// configuration that mfad would start with, but that needs more than the PAM stacks
// give (doctor.Promises), is not good either.
func check(cfg config.Config, path string, stdout, stderr io.Writer) int {
	err, files := disk.CheckStore(cfg), disk.CheckFiles(cfg, path)
	for _, err := range []error{err, files} {
		if err != nil {
			fmt.Fprintf(stderr, "mfad: %v\n", err)
		}
	}
	away := errors.Is(err, store.ErrUnreachable)
	if away {
		fmt.Fprintln(stderr, "mfad: so the store was not looked at. A start goes on without it: until etcd is in reach those are let in whom a rule lets in, and whom store.etcd.offline is for.")
	}
	switch {
	case files != nil, err != nil && !away:
		return exitUsage
	case away:
		return exitFailed
	}
	if err := doctor.Promises(os.DirFS("/"), cfg); err != nil {
		fmt.Fprintf(stderr, "mfad: %v\n", err)
		return exitFailed
	}
	fmt.Fprintf(stdout, "%s: good\n", path)
	if problem := deliver.SenderProblem(cfg.Email, deliver.FullName()); problem != "" {
		fmt.Fprintln(stdout, problem)
	}
	for _, told := range []string{text.Unspoken(cfg.Prompt.Language), disk.Census(cfg)} {
		if told != "" {
			fmt.Fprintln(stdout, told)
		}
	}
	for _, x := range cfg.Exposed() {
		fmt.Fprintf(stdout, "%s: %s: run %s\n", x.Key, x.What(), x.Mend())
	}
	for _, key := range cfg.Credentials() {
		fmt.Fprintf(stdout, "%s was not looked at: only the service sees its credentials\n", key)
	}
	for _, key := range config.NeedRestart(running(cfg.Server.ControlSocket), cfg.Fixed()) {
		fmt.Fprintf(stdout, "%s is not what runs: a reload does not change it, systemctl restart mfad does\n", key)
	}
	return 0
}

// askTimeout bounds the question to the daemon that runs.
const askTimeout = 5 * time.Second

// running returns the fixed keys of the running daemon, nil if it does not answer.
func running(socket string) map[string]string {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	for _, path := range []string{socket, config.Default().Server.ControlSocket} {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}}}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://mfad/v1/status", nil)
		if err != nil {
			return nil
		}
		resp, err := client.Do(req)
		if err != nil {
			continue // none, or not at this socket
		}
		defer resp.Body.Close()
		var st wire.Status
		if resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(&st) == nil {
			return st.Fixed
		}
	}
	return nil
}
