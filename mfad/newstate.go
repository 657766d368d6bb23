package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"mfa/internal/config"
	"mfa/internal/config/disk"
	"mfa/internal/host/doctor"
)

// beginAnew is mfad --new-state. If the key is lost too, it asks before it makes a
// new one: all authenticator apps are lost with the key.
func beginAnew(cfg config.Config, stdin io.Reader, stdout, stderr io.Writer) int {
	lost, apps, err := disk.LostKey(cfg)
	if err != nil {
		fmt.Fprintf(stderr, "mfad: %v\n", err)
		return exitFailed
	}
	if lost && !newKey(cfg, apps, stdin, stdout) {
		fmt.Fprintf(stderr, "mfad: nothing was changed: restore %s from a backup, or answer y\n", cfg.Secrets.KeyFile)
		return exitFailed
	}
	aside, err := disk.NewState(cfg, lost, time.Now())
	if aside != "" {
		fmt.Fprintf(stdout, "What there was is now %s.\n", aside)
	}
	if err != nil {
		fmt.Fprintf(stderr, "mfad: %v\n", err)
		return exitFailed
	}
	fmt.Fprint(stdout, "The next start of mfad begins anew. Codes of apps up to then count as used,\n"+
		"those of tokens until an administrator has found them again\n"+
		"(mfactl enroll USER --hotp --codes CODE,NEXT), and backup codes until they are\n"+
		"made anew; codes that were sent are void, and so are remembered logins. Who was\n"+
		"locked, and which methods were disabled, is not known any more: lock again whom\n"+
		"you had locked.\nNow: "+doctor.StartAgain+"\n")
	return 0
}

// maxApps bounds how many users with an app are named.
const maxApps = 10

// newKey prints what is lost with the key, and asks whether to make a new one.
func newKey(cfg config.Config, apps []string, stdin io.Reader, stdout io.Writer) bool {
	fmt.Fprintf(stdout, "The key file %s is not there. With a new one, codes by email and text message go on,\n"+
		"and backup codes have to be made anew. Authenticator apps and tokens are lost, as nothing else can read\n"+
		"what they share with this machine.\n", cfg.Secrets.KeyFile)
	if len(apps) > 0 {
		text := strings.Join(apps[:min(len(apps), maxApps)], ", ")
		if len(apps) > maxApps {
			text += fmt.Sprintf(" and %d more", len(apps)-maxApps)
		}
		fmt.Fprintf(stdout, "Give a new one to %s: mfactl enroll USER --totp, or --hotp for a token.\n", text)
	}
	fmt.Fprint(stdout, "Go on with a new key? [y/N] ")
	line, _ := bufio.NewReader(stdin).ReadString('\n')
	fmt.Fprintln(stdout)
	return strings.EqualFold(strings.TrimSpace(line), "y")
}
