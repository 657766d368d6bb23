package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// cutByHand says what split_line must find. It reads the rules of pam_mfa(8) anew: all
// endings first, then the line from its end on.
func cutByHand(line string, endings []byte) (found int, password, code string) {
	found, password = foundNothing, line
	for len(endings) > 0 {
		if len(endings) < 3 || endings[2] == 0 || len(endings)-3 < int(endings[2]) {
			return foundBroken, line, ""
		}
		end := 3 + int(endings[2])
		kind, count, text := endings[0], int(endings[1]), endings[3:end]
		endings = endings[end:]
		if !strings.ContainsRune("d,gw", rune(kind)) || (kind == 'w') != (count == 0) {
			return foundBroken, line, ""
		}
		if found == foundCode {
			continue
		}
		if p, c, ok := endByHand(line, kind, count, text); ok {
			found, password, code = foundCode, p, c
		}
	}
	if found == foundNothing {
		password = line
	}
	return found, password, code
}

// endByHand looks for one ending.
func endByHand(line string, kind byte, count int, text []byte) (password, code string, ok bool) {
	trimmed := strings.TrimRight(line, " ")
	begin := len(trimmed) - len(text)
	if kind == 'w' {
		ok = begin >= 0 && bytes.Equal(lowered(trimmed[max(begin, 0):]), text)
	} else {
		begin, ok = symbolsByHand(trimmed, kind, count, text)
	}
	if !ok {
		return "", "", false
	}
	password, code = trimmed[:begin], trimmed[begin:]
	if kind != 'd' {
		password, ok = strings.CutSuffix(strings.TrimRight(password, " "), ",")
	}
	return password, code, ok && password != ""
}

// symbolsByHand returns where so many symbols at the end of a line begin.
func symbolsByHand(line string, kind byte, count int, of []byte) (begin int, ok bool) {
	begin = len(line)
	between, seen := false, 0
	for ; seen < count && begin > 0; begin-- {
		c := line[begin-1]
		switch {
		case bytes.IndexByte(of, lowered(line[begin-1 : begin])[0]) >= 0:
			seen++
		case seen == 0 || (c != ' ' && c != '-' && (kind == 'd' || c < 0x80)):
			return 0, false
		default:
			between = true
		}
	}
	return begin, seen == count && (between || kind != 'g')
}

// lowered turns ASCII letters to lower case, and nothing else.
func lowered(s string) []byte {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}

// expectSplit fails unless the line is cut as by hand.
func expectSplit(t *testing.T, line string, endings []byte) {
	t.Helper()
	found, password, code := split(line, endings)
	wantFound, wantPassword, wantCode := cutByHand(line, endings)
	if found != wantFound || password != wantPassword || code != wantCode {
		t.Errorf("%q by %q: %d, %q and %q; want %d, %q and %q", line, endings, found, password, code, wantFound, wantPassword, wantCode)
	}
	if found == foundCode && (password == "" || !strings.HasPrefix(line, password)) {
		t.Errorf("%q by %q: the password is %q", line, endings, password)
	}
}

// linesToSplit are where fuzzing begins.
var linesToSplit = []string{
	"hunter2654321", "a,k7mx-24wp-9hre-3cdf", "pw,email", "654321", ",", " ,  ", "p\xc3\xa4,2222\xe2\x80\x93222222222222", "pw, EMAIL  ", "a,12345678 ",
}

// A line is cut where the rules say, for all that is typed and all that a daemon says.
func FuzzSplitLine(f *testing.F) {
	for _, line := range linesToSplit {
		f.Add(line, cutOf(enrolled...))
		f.Add(line, []byte("d\x06"))
		f.Add(line, []byte("g\x02\x02-2w\x00\x01x,\x01\x01 "))
	}
	f.Fuzz(func(t *testing.T, line string, endings []byte) {
		if len(endings) <= wire.MaxCut {
			expectSplit(t, cString(line), endings)
		}
	})
}

// challengeByHand says what split_challenge must find.
func challengeByHand(line string) (password, answer string, ok bool) {
	rest, ok := strings.CutPrefix(line, "SCRV1:")
	first, second, both := strings.Cut(rest, ":")
	if !ok || !both || first == "" {
		return "", "", false
	}
	decode := func(s string) (string, bool) {
		if len(s)%4 == 0 {
			s = strings.TrimSuffix(strings.TrimSuffix(s, "="), "=")
		}
		b, err := base64.RawStdEncoding.DecodeString(s)
		return string(b), err == nil && !strings.ContainsAny(s, "\r\n") && !bytes.ContainsRune(b, 0)
	}
	password, ok = decode(first)
	if !ok {
		return "", "", false
	}
	answer, ok = decode(second)
	if !ok {
		return "", "", false
	}
	return password, answer, true
}

// An envelope of OpenVPN is what encoding/base64 reads, or none.
func FuzzSplitChallenge(f *testing.F) {
	for _, line := range []string{
		"SCRV1:aGk=:aGk=", "SCRV1:a:b", "SCRV1:aGVsbG8:aGVsbG8=", "SCRV1:aGk=:", "SCRV1::aGk=", "SCRV1:AA==:aGk=", "SCRV1:aG\n=:a", "SCRV1:+/09:azAZ",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		line = cString(line)
		password, answer, ok := challenge(line)
		wantPassword, wantAnswer, want := challengeByHand(line)
		if ok != want || password != wantPassword || answer != wantAnswer {
			t.Errorf("%q: %q and %q, %v; want %q and %q, %v", line, password, answer, ok, wantPassword, wantAnswer, want)
		}
	})
}

// expectCut says what the relay makes of a daemon's answer to SPLIT, and how the line is cut
// then. Only the first frame counts.
func expectCut(stream []byte) (o outcome, endings []byte) {
	frame, err := wire.Read(bytes.NewReader(stream))
	switch {
	case errors.Is(err, wire.ErrFrame):
		return broken, nil
	case err != nil && len(stream) == 0:
		return hungUp, nil
	case err != nil:
		return unavailable, nil
	}
	switch frame.Type {
	case wire.Cut:
		if len(frame.Payload) <= wire.MaxCut {
			return cutLine, frame.Payload
		}
	case wire.Done:
		if len(frame.Payload) != 2 {
			return broken, nil
		}
		if o := byLetter[frame.Payload[0]]; o != accepted && o != exempt {
			return o, nil
		}
	}
	return broken, nil
}

// The relay takes from a daemon how a line is cut, and nothing else to that question: no DONE lets
// in that nobody asked for. The line is cut by what was taken.
func FuzzCut(f *testing.F) {
	for _, line := range linesToSplit {
		f.Add(frames(wire.EncodeCut(enrolled)), line)
	}
	f.Add(frames(wire.EncodeCut(nil)), "x")
	f.Add(frames(wire.Frame{Type: wire.Cut, Payload: make([]byte, wire.MaxCut)}), "x")
	f.Add(frames(wire.Frame{Type: wire.Cut, Payload: make([]byte, wire.MaxCut+1)}), "x")
	f.Add(frames(wire.Frame{Type: wire.Cut, Payload: make([]byte, 3*room)}), "x")
	f.Add([]byte{}, "")
	f.Add([]byte("\x00\x00\x00\x04C"), "")
	f.Add([]byte("\x00\x00\x00\x05Cw\x00\x01x"), "pw,x")
	f.Add(append([]byte("\x00\x00\x00\x05Cw\x00\x01x"), letIn...), "pw, X ")
	f.Add(frames(wire.EncodePrompt(mfa.Prompt{Kind: mfa.Ask, Text: "Code: "})), "")
	for letter := range byLetter {
		f.Add([]byte{0, 0, 0, 3, 'D', letter, 1}, "")
	}
	f.Fuzz(func(t *testing.T, stream []byte, line string) {
		if len(stream) > 64<<10 {
			return
		}
		p := always("123456")
		v, said, sent := exchangeCut(t, stream, mfa.Request{User: "alice"}, p)
		want, endings := expectCut(stream)
		if v.outcome != want || v.changePassword || !bytes.Equal(said, endings) {
			t.Errorf("%+v, %d bytes; want outcome %d and %d bytes", v, len(said), want, len(endings))
		}
		if len(p.heard) > 0 {
			t.Errorf("the person heard %q", p.heard)
		}
		if len(sent) != 1 || sent[0].Type != wire.Split {
			t.Errorf("relay sent %q", sent)
		}
		if v.outcome == cutLine {
			expectSplit(t, cString(line), said)
		}
	})
}
