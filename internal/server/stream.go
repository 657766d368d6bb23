package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"mfa/internal/wire"
)

// streamTimeout is how long a reader may keep one line waiting.
const streamTimeout = 30 * time.Second

// flushEvery is how often lines are sent at least, while there are any: net/http gathers
// them by the kilobyte, and a reader that hears nothing gives up (wire.Client.Timeout).
const flushEvery = time.Second

// A stream is an answer in lines. It is used by one goroutine.
type stream struct {
	w       http.ResponseWriter
	begun   bool
	flushed time.Time
}

func (s *stream) line(l wire.Line) error {
	if !s.begun {
		s.w.Header().Set("Content-Type", "application/x-ndjson")
		s.begun = true
	}
	if err := http.NewResponseController(s.w).SetWriteDeadline(time.Now().Add(streamTimeout)); err != nil {
		return err
	}
	if err := json.NewEncoder(s.w).Encode(l); err != nil || time.Since(s.flushed) < flushEvery {
		return err
	}
	s.flushed = time.Now()
	return http.NewResponseController(s.w).Flush()
}

// begin sends how many items can come at most.
func (s *stream) begin(total int) error { return s.line(wire.Line{Total: &total}) }

// item sends one item.
func (s *stream) item(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.line(wire.Line{Item: b})
}

// A list is an answer that is one JSON object, whose first key has a list that may be
// long: it is written as it comes. It is used by one goroutine.
type list struct {
	w     http.ResponseWriter
	key   string
	begun bool
}

// item adds v.
func (l *list) item(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return l.write(append([]byte(l.next()), b...))
}

// next is the text before the next item.
func (l *list) next() string {
	if l.begun {
		return ","
	}
	return `{"` + l.key + `":[`
}

// end ends the list; another one follows under its key, unless it is empty.
func (l *list) end(key string, names []string) error {
	var tail []byte
	if !l.begun {
		tail = []byte(l.next())
	}
	tail = append(tail, ']')
	if len(names) > 0 {
		b, err := json.Marshal(names)
		if err != nil {
			return err
		}
		tail = fmt.Appendf(tail, `,"%s":%s`, key, b)
	}
	return l.write(append(tail, "}\n"...))
}

func (l *list) write(b []byte) error {
	if !l.begun {
		l.w.Header().Set("Content-Type", "application/json")
		l.begun = true
	}
	if err := http.NewResponseController(l.w).SetWriteDeadline(time.Now().Add(streamTimeout)); err != nil {
		return err
	}
	_, err := l.w.Write(b)
	return err
}

// streaming answers with a stream that h writes, if may returns no error.
func (s *Control) streaming(may func(exchange, context.Context) (string, error), h func(s exchange, r *http.Request, actor string, out *stream) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		out := &stream{w: w}
		x := s.exchange()
		actor, err := may(x, r.Context())
		if err == nil {
			err = h(x, r, actor, out)
		} else {
			s.denied(r, actor, err)
		}
		last := wire.Line{End: true}
		if err != nil {
			last = wire.Line{Error: err.Error()}
			code := s.codeOf(r, err)
			if !out.begun {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(code)
				out.begun = true
			}
		}
		if err := out.line(last); err != nil {
			s.Log.Debug("control answer not delivered", "error", err)
		}
	}
}
