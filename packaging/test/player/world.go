package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

// password is that of all people.
const password = "correct horse"

// A message is a mail or a text message that went out.
type message struct{ to, text string }

// A world is what is around the machine: people with mailboxes, phones, apps and paper.
type world struct {
	user  string // who logs in now
	have  int    // messages that there were before
	asked bool   // a message was asked for in one line with the password, and its code not typed yet
	left  *scene // a command that goes on; nil: none
	notes *transcript

	secrets map[string]string   // of the apps, by user
	used    map[string][]string // codes of the app that were typed, by user
	presses map[string]uint64   // of the button of the token, by user
	paper   map[string][]string // backup codes that are not used, by user

	mu   sync.Mutex // guards sent
	sent []message
}

func newWorld() *world {
	return &world{notes: newTranscript(), secrets: map[string]string{}, used: map[string][]string{}, presses: map[string]uint64{}, paper: map[string][]string{}}
}

// begin says whom the next command is about; nobody: as before.
func (w *world) begin(user string) {
	if user != "" {
		w.user = user
	}
	if w.asked {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.have = len(w.sent)
}

var (
	keyLine  = regexp.MustCompile(`(?m)Key: ((?:[A-Z2-7]{4} ?)+)$`)
	paperRow = regexp.MustCompile(backupCode)
	codeLine = regexp.MustCompile(`(?m)(?:^|^Your code: |[Cc]ode[^0-9\n]*)([0-9]{6})\b`)
	recovery = regexp.MustCompile(`(?m)^Recovery code: (\S+)`)
)

// saw takes from a screen what a person would: the key of an app, and backup codes.
func (w *world) saw(screen string) {
	if m := keyLine.FindAllStringSubmatch(screen, -1); m != nil {
		w.secrets[w.user] = strings.ReplaceAll(m[len(m)-1][1], " ", "")
	}
	if codes := paperRow.FindAllString(screen, -1); len(codes) >= 5 {
		w.paper[w.user] = codes
	}
}

// answer returns what a person types at a question, where the page shows typed.
func (w *world) answer(question, typed, screen string) (string, error) {
	w.saw(screen)
	if behind, is := strings.CutPrefix(typed, "PASSWORD"); is {
		answer, err := w.oneLine(behind)
		return password + answer, err
	}
	switch {
	case strings.Contains(question, "assword"):
		return password, nil
	case strings.Contains(question, "Recovery code"):
		return w.fromMessage(recovery)
	case strings.Contains(question, "Backup code"), regexp.MustCompile(`^` + backupCode + `$`).MatchString(typed):
		codes := w.paper[w.user]
		if len(codes) == 0 {
			return "", fmt.Errorf("%s has no backup code", w.user)
		}
		w.paper[w.user] = codes[1:]
		return codes[0], nil
	case !regexp.MustCompile(`^\d{6,8}$`).MatchString(typed), typed == "000000":
		return typed, nil
	case strings.Contains(screen, " sent to "):
		return w.fromMessage(codeLine)
	}
	return w.fromApp()
}

// oneLine returns what is typed behind the password in its line, where the page shows typed.
func (w *world) oneLine(typed string) (string, error) {
	switch {
	case typed == ",email", typed == ",text":
		w.asked = true
		return typed, nil
	case strings.HasPrefix(typed, ","):
		code, err := w.answer("Backup code", typed, "")
		return "," + code, err
	case w.asked:
		w.asked = false
		return w.fromMessage(codeLine)
	}
	return w.fromApp()
}

// fromMessage waits for the message that holds what is looked for.
func (w *world) fromMessage(what *regexp.Regexp) (string, error) {
	for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(20 * time.Millisecond) {
		w.mu.Lock()
		all := slices.Clone(w.sent)
		w.mu.Unlock()
		for i := len(all) - 1; i >= w.have; i-- {
			if m := what.FindStringSubmatch(all[i].text); m != nil {
				return m[1], nil
			}
		}
	}
	return "", errors.New("no message came")
}

// fromApp returns the code of the app, once there is one that was not typed yet; or that of
// the token that counts, whose secret the page has left in token/USER.
func (w *world) fromApp() (string, error) {
	secret := w.secrets[w.user]
	if data, err := os.ReadFile(home + "token/" + w.user); err == nil {
		w.presses[w.user]++
		return hotp.GenerateCode(strings.TrimSpace(string(data)), w.presses[w.user]-1)
	}
	if data, err := os.ReadFile(home + "secret/" + w.user); err == nil && secret == "" {
		secret = strings.TrimSpace(string(data))
	}
	for {
		code, err := totp.GenerateCode(secret, time.Now())
		if err != nil {
			return "", fmt.Errorf("the app of %q: %w", w.user, err)
		}
		if !slices.Contains(w.used[w.user], code) {
			w.used[w.user] = append(w.used[w.user], code)
			return code, nil
		}
		time.Sleep(time.Second)
	}
}

func (w *world) take(m message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, m)
	_ = appendFile(home+"messages", fmt.Sprintf("to %s: %s\n", m.to, m.text))
}

func appendFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// serveTexts stands for Twilio: it takes each message and says that it did.
func (w *world) serveTexts(l net.Listener) {
	_ = http.Serve(l, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err == nil && r.Form.Get("Body") != "" {
			w.take(message{r.Form.Get("To"), r.Form.Get("Body")})
		}
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(rw, `{"sid":"SM00000000000000000000000000000001","status":"queued"}`)
	}))
}
