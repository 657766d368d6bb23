package audit

import (
	"log/slog"
	"reflect"
	"strings"
	"time"

	"mfa/internal/mfa"
)

// level is how loud the log says an event: who was kept out is a warning, and
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

// attrs are the fields of an event that are set, by their names in the file, but
// the time, which the log has of its own.
func attrs(ev mfa.Event) []any {
	var as []any
	for field, v := range reflect.ValueOf(ev).Fields() {
		if v.IsZero() || v.Type() == reflect.TypeFor[time.Time]() {
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		as = append(as, name, reflect.Indirect(v).Interface())
	}
	return as
}

// maxText bounds each text of a line, in bytes before they are escaped.
const maxText = 1024

// bounded returns ev with its texts cut to maxText.
func bounded(ev mfa.Event) mfa.Event {
	v := reflect.ValueOf(&ev).Elem()
	for _, field := range v.Fields() {
		if field.Kind() == reflect.String && field.Len() > maxText {
			cut := strings.ToValidUTF8(field.String()[:maxText], "")
			field.SetString(cut + "…")
		}
	}
	return ev
}
