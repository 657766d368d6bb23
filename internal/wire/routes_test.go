package wire

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// TestRoutesFind asks for each route as a client does, with names that hold what
// could be taken for a part of the path, and sees which pattern a server finds.
func TestRoutesFind(t *testing.T) {
	mux := http.NewServeMux()
	for i, r := range Routes {
		if slices.Contains(Routes[:i], r) {
			t.Errorf("%s is listed twice", r)
			continue
		}
		mux.HandleFunc(string(r), func(http.ResponseWriter, *http.Request) {})
	}
	for _, name := range []string{"alice", "a/b", "a b?c=d#e%", "DOM\\user", "jürgen"} {
		for _, route := range Routes {
			to := route.For(name, name).With(QueryReveal, Yes).With(QueryMethod, "a&b")
			req := httptest.NewRequest(to.method, "http://mfad"+to.path, nil)
			h, pattern := mux.Handler(req)
			if pattern != string(route) {
				t.Errorf("%v finds %q, want %q", to, pattern, route)
				continue
			}
			h.ServeHTTP(httptest.NewRecorder(), req)
			if got := req.URL.Query(); got.Get(QueryReveal) != Yes || got.Get(QueryMethod) != "a&b" {
				t.Errorf("%v has the query %v", to, got)
			}
		}
	}
}

// TestFor fills in parts in order, and none twice.
func TestFor(t *testing.T) {
	for _, tc := range []struct {
		got  Resource
		want string
	}{
		{GetStatus.For(), "GET /v1/status"},
		{GetUser.For("alice"), "GET /v1/users/alice"},
		{GetUser.For("a/b"), "GET /v1/users/a%2Fb"},
		{GetUser.For(), "GET /v1/users/"},
		{DeleteUserSession.For("alice", "k4w2"), "DELETE /v1/users/alice/sessions/k4w2"},
		{PostSelf.For(SelfPrefer).With(QueryMethod, "totp"), "POST /v1/self/prefer?method=totp"},
		{ListUsers.For("too many"), "GET /v1/users"},
	} {
		if got := tc.got.method + " " + tc.got.path; got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}
