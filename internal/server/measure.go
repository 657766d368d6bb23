package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"mfa/internal/wire"
)

// Bounds on a caller's request, in bytes.
const (
	maxBody   = 64 << 10
	maxTarget = 2 << 10 // of a path with its query
	maxPart   = 256     // of a part of a path: no name is longer (LOGIN_NAME_MAX, limits.h(0p))
)

// measured refuses a request that is too long, or of unknown length, before anything is
// done or logged about it.
func measured(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var code int
		var why string
		switch {
		case r.ContentLength < 0:
			code, why = http.StatusLengthRequired, "a body needs a Content-Length"
		case r.ContentLength > maxBody:
			code, why = http.StatusRequestEntityTooLarge, fmt.Sprintf("a body has %d bytes at most", maxBody)
		case len(r.RequestURI) > maxTarget || hasLongPart(r.URL):
			code, why = http.StatusRequestURITooLong, fmt.Sprintf("a name has %d bytes at most", maxPart)
		default:
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Connection", "close")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(wire.Fault{Error: why})
	})
}

// hasLongPart reports whether a part of the path is longer than maxPart. It splits as
// http.ServeMux does: not at an escaped slash.
func hasLongPart(u *url.URL) bool {
	for part := range strings.SplitSeq(u.EscapedPath(), "/") {
		if text, err := url.PathUnescape(part); err != nil || len(text) > maxPart {
			return true
		}
	}
	return false
}
