package etcd

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
)

// machineID names an installation of Linux (machine-id(5)).
const machineID = "/etc/machine-id"

// HostID returns what names this machine among a fleet, as 16 hexadecimal digits: a hash of
// its machine-id, which is to be told to nobody, and of its host name. Machines that were
// cloned have the machine-id in common, and those that are named alike the name; hardly
// any have both. A machine that was installed or named anew is another one: codes that are
// on their way end there, and so do logins that were remembered for that host alone.
func HostID() (string, error) {
	id, err := os.ReadFile(machineID)
	if err != nil && !os.IsNotExist(err) {
		return "", fmt.Errorf("name this host: %w", err)
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("name this host: %w", err)
	}
	return hostID(bytes.TrimSpace(id), name), nil
}

func hostID(machine []byte, name string) string {
	h := hmac.New(sha256.New, append([]byte("mfa host "), machine...))
	h.Write([]byte(name))
	return hex.EncodeToString(h.Sum(nil)[:8])
}
