package doctor

import (
	"context"

	"mfa/internal/text"
)

// language: whether prompts and mails are in the language that prompt.language names.
func (e *exam) language(context.Context) {
	tag := e.cfg.Prompt.Language
	switch {
	case !e.known || tag == "":
	case text.Speaks(tag):
		e.ok("language", e.Config, "has prompts and mails in the language "+tag)
	default:
		e.ok("language", e.Config, text.Unspoken(tag))
	}
}
