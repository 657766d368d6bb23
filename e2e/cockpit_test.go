package e2e

import (
	"encoding/base64"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A browser is Cockpit's login page with a person before it.
type browser struct{ url string }

// cockpit starts the web server of Cockpit.
func cockpit(t *testing.T) browser {
	t.Helper()
	at := net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
	_, port, err := net.SplitHostPort(at)
	ok(t, err)
	// Debian 13 has cockpit-session behind a socket of systemd, if it is not told otherwise.
	const conf = "/etc/cockpit/cockpit.conf"
	ok(t, os.MkdirAll("/etc/cockpit", 0o755))
	ok(t, os.WriteFile(conf, []byte("[Basic]\nCommand = /usr/lib/cockpit/cockpit-session\n"), 0o644))
	t.Cleanup(func() { _ = os.Remove(conf) })
	log, stop := service(t, exec.Command("/usr/lib/cockpit/cockpit-ws", "--no-tls", "--address", "127.0.0.1", "--port", port))
	t.Cleanup(func() {
		_ = stop(unix.SIGTERM)
		show(t, "log of cockpit-ws", log)
	})
	eventually(t, "cockpit-ws listens", func() bool {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return browser{"http://" + at + "/cockpit/login"}
}

// send sends what was typed, as the page does. Prompt is what is asked next; then talk is
// the scheme to answer with. Status is that of HTTP.
func (b browser) send(t *testing.T, scheme, text string) (talk, prompt string, status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url, nil)
	ok(t, err)
	req.Header.Set("Authorization", scheme+" "+base64.StdEncoding.EncodeToString([]byte(text)))
	resp, err := http.DefaultClient.Do(req)
	ok(t, err)
	ok(t, resp.Body.Close())
	if f := strings.Fields(resp.Header.Get("WWW-Authenticate")); len(f) == 3 && f[0] == "X-Conversation" {
		asked, err := base64.StdEncoding.DecodeString(f[2])
		ok(t, err)
		talk, prompt = f[0]+" "+f[1], string(asked)
	}
	return talk, prompt, resp.StatusCode
}

// Cockpit's page asks for the password, and shows each prompt behind it.
func TestCockpit(t *testing.T) {
	s := newSite(t)
	s.stack("cockpit", s.passwordThenCode()...)
	s.startDaemon()
	alice := s.newUser("alice")
	page := cockpit(t)
	if _, _, status := page.send(t, "Basic", alice.name+":wrong"); status != http.StatusUnauthorized {
		t.Fatalf("a wrong password gets %d", status)
	}
	talk, prompt, status := page.send(t, "Basic", alice.name+":"+password)
	if status != http.StatusUnauthorized || !strings.HasSuffix(prompt, "Code: ") {
		t.Fatalf("behind the password: %d, %q", status, prompt)
	}
	talk, prompt, status = page.send(t, talk, wrong(s.code(alice, 1)))
	if status != http.StatusUnauthorized || !strings.Contains(prompt, "not right") {
		t.Fatalf("a wrong code: %d, %q", status, prompt)
	}
	if _, _, status = page.send(t, talk, s.code(alice, 1)); status != http.StatusOK {
		t.Fatalf("a right code: %d", status)
	}
	events := s.events(alice, eventLogin)
	if last := events[len(events)-1]; last["service"] != "cockpit" || last["outcome"] != "accepted" {
		t.Errorf("the audit file says %v", events)
	}
	s.expectFailures(alice, 1)
}
