package server

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"mfa/internal/login"
	"mfa/internal/wire"
)

// explain answers what a login would come to, also for a name without an account.
func (s exchange) explain(r *http.Request, _ string) (any, error) {
	var v wire.Visit
	if err := readBody(r, &v); err != nil {
		return nil, err
	}
	if err := checkVisit(v); err != nil {
		return nil, fault{http.StatusBadRequest, fmt.Errorf("read request: %w", err)}
	}
	return s.Engine.Explain(r.Context(), v), nil
}

// checkVisit returns what is wrong with v.
func checkVisit(v wire.Visit) error {
	factors := slices.DeleteFunc(slices.Clone(login.FirstFactors), func(f string) bool { return f == login.AnyFactor })
	switch {
	case v.User == "" || v.Service == "":
		return errors.New("user or service is missing")
	case v.Key != "" && !strings.HasPrefix(v.Key, "SHA256:"):
		return fmt.Errorf("key %q is not a fingerprint like SHA256:..., as ssh-keygen -l prints it", v.Key)
	case v.Key != "" && v.FirstFactor != "" && v.FirstFactor != "publickey":
		return fmt.Errorf("the first factor is a key or %q, not both", v.FirstFactor)
	case v.FirstFactor != "" && !slices.Contains(factors, v.FirstFactor):
		return fmt.Errorf("first factor %q is none of %s", v.FirstFactor, strings.Join(factors, ", "))
	}
	return nil
}
