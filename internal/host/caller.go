package host

import (
	"context"
	"math"
	"os"
	"strconv"
	"strings"

	"mfa/internal/host/nss"
)

// Caller returns the name of the user who became root, from SUDO_USER of sudo(8) or from
// the login uid of the kernel (pam_loginuid(8)); "" if neither is set.
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
