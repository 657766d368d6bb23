package host

import (
	"context"
	"math"
	"os"
	"strconv"
	"strings"

	"mfa/internal/host/nss"
)

// Caller returns who became root, by sudo(8) or by the login that the kernel keeps
// (pam_loginuid(8)); "" if neither tells.
func Caller(ctx context.Context) string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	data, err := os.ReadFile("/proc/self/loginuid")
	if err != nil {
		return ""
	}
	uid, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 32)
	if err != nil || uid == math.MaxUint32 {
		return "" // no login
	}
	id, err := nss.LookupUID(ctx, uint32(uid))
	if err != nil {
		return ""
	}
	return id.Name
}
