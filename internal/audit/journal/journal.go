// Package journal is the daemon's log: systemd's journal, or text.
//
// What to know before trusting it: an entry of the journal holds each attribute twice,
// in its message for people and as a field MFA_NAME for programs. A message stays one
// entry, whatever its attributes hold. While journald is away lines go to standard
// error, with the priority that sd-daemon(3) puts before them.
package journal

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
)

// NewLog returns the daemon's log: to the journal, with a field for each
// attribute, when standard error is the journal's, else as text to w. What is
// below level is left out.
func NewLog(w io.Writer, level slog.Leveler) *slog.Logger {
	if ok, err := journal.StderrIsJournalStream(); ok && err == nil {
		return slog.New(&journalHandler{level: level, send: orWrite(w, journal.Send)})
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// A sendFunc is journal.Send, or stands in for it.
type sendFunc func(message string, p journal.Priority, fields map[string]string) error

// orWrite falls back to w, so that no line is lost while journald is away.
func orWrite(w io.Writer, send sendFunc) sendFunc {
	return func(message string, p journal.Priority, fields map[string]string) error {
		err := send(message, p, fields)
		if err != nil {
			fmt.Fprintf(w, "<%d>%s\n", p, message) // sd-daemon(3)
		}
		return err
	}
}

// A journalHandler writes records to journald. A message that people read ends
// with its attributes; programs find each as a field MFA_NAME.
type journalHandler struct {
	level  slog.Leveler
	send   sendFunc
	prefix string
	text   string            // attributes given to WithAttrs, as people read them
	fields map[string]string // and as fields
}

// Enabled implements slog.Handler.
func (h *journalHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

// Handle implements slog.Handler.
func (h *journalHandler) Handle(_ context.Context, r slog.Record) error {
	attrs := make([]slog.Attr, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	text, fields := h.render(attrs)
	return h.send(r.Message+h.text+text, priority(r.Level), fields)
}

// WithAttrs implements slog.Handler.
func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	text, fields := h.render(attrs)
	next.text, next.fields = h.text+text, fields
	return &next
}

// WithGroup implements slog.Handler.
func (h *journalHandler) WithGroup(name string) slog.Handler {
	next := *h
	next.prefix += name + "."
	return &next
}

// render returns attributes as " key=value", in the words of slog's own text
// handler, and as fields, with those of h.
func (h *journalHandler) render(attrs []slog.Attr) (string, map[string]string) {
	fields := maps.Clone(h.fields)
	if fields == nil {
		fields = map[string]string{}
	}
	var b strings.Builder
	text := slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
			return slog.Attr{}
		}
		return a
	}})
	r := slog.Record{}
	for _, a := range attrs {
		a.Key = h.prefix + a.Key
		r.AddAttrs(a)
		fields[fieldName(a.Key)] = a.Value.Resolve().String()
	}
	words := ""
	if err := text.Handle(context.Background(), r); err == nil {
		words = strings.TrimSuffix(b.String(), "\n")
	}
	if words != "" {
		words = " " + words
	}
	return words, fields
}

// fieldName is the journal's spelling (systemd.journal-fields(7)) of an
// attribute's key.
func fieldName(key string) string {
	return "MFA_" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, key)
}

func priority(l slog.Level) journal.Priority {
	switch {
	case l >= slog.LevelError:
		return journal.PriErr
	case l >= slog.LevelWarn:
		return journal.PriWarning
	case l >= slog.LevelInfo:
		return journal.PriInfo
	}
	return journal.PriDebug
}
