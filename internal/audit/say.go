package audit

import (
	"log/slog"
	"reflect"
	"strings"
	"time"

	"mfa/internal/mfa"
)

// level returns the log level of an event: a login that was refused is a warning; one
// that the daemon could not decide is an error.
func level(ev mfa.Event) slog.Level {
	if ev.Event != Login {
		return slog.LevelInfo
	}
	switch ev.Outcome {
	case mfa.Accepted.String(), mfa.Exempt.String():
		return slog.LevelInfo
	case mfa.Unavailable.String(), mfa.Broken.String():
		return slog.LevelError
	}
	return slog.LevelWarn
}

// A field of an event, by its place and its name in the file.
type field struct {
	index int
	name  string
}

// fields are those of an event but the time, which the log has of its own; texts those of
// all that are text.
var fields, texts = func() (all, texts []field) {
	for f := range reflect.TypeFor[mfa.Event]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Type != reflect.TypeFor[time.Time]() {
			all = append(all, field{f.Index[0], name})
		}
		if f.Type.Kind() == reflect.String {
			texts = append(texts, field{f.Index[0], name})
		}
	}
	return all, texts
}()

// attrs are the fields of an event that are set, by their names in the file.
func attrs(ev *mfa.Event) []slog.Attr {
	as := make([]slog.Attr, 0, len(fields))
	event := reflect.ValueOf(ev).Elem()
	for _, f := range fields {
		switch v := event.Field(f.index); {
		case v.IsZero():
		case v.Kind() == reflect.String:
			as = append(as, slog.String(f.name, v.String()))
		default:
			as = append(as, slog.Any(f.name, reflect.Indirect(v).Interface()))
		}
	}
	return as
}

// maxText bounds each text of a line, in bytes before they are escaped.
const maxText = 1024

// bound cuts the texts of ev to maxText.
func bound(ev *mfa.Event) {
	event := reflect.ValueOf(ev).Elem()
	for _, f := range texts {
		if text := event.Field(f.index); text.Len() > maxText {
			text.SetString(strings.ToValidUTF8(text.String()[:maxText], "") + "…")
		}
	}
}
