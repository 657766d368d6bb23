package server

import (
	"net/http"

	"mfa/internal/enroll"
)

// reveals says whether addresses are asked for without masks.
func reveals(r *http.Request) bool { return r.URL.Query().Get("reveal") == "true" }

// users streams an enroll.View of each.
func (s *Control) users(r *http.Request, _ string, out *stream) error {
	return s.Enroll().Each(r.Context(), reveals(r), out.begin, func(v enroll.View) error { return out.item(v) })
}
