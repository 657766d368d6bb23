package contacts

import (
	"fmt"
	"strconv"
	"strings"
	"text/template"

	"mfa/internal/mfa"
)

// A fieldTemplate is a text of mfa.toml in which {{.User}} and {{.UID}} stand for those
// of a user.
type fieldTemplate struct {
	key string
	t   *template.Template
}

// fields is what such a text may speak of.
type fields struct{ User, UID string }

func parseFields(key, text string) (fieldTemplate, error) {
	t, err := template.New("text").Parse(text)
	if err != nil {
		return fieldTemplate{}, fmt.Errorf("%s: %q is no template: %w", key, text, err)
	}
	return fieldTemplate{key, t}, nil
}

// text returns the text for a user, whose name is written as escape does.
func (t fieldTemplate) text(id mfa.Identity, escape func(string) string) (string, error) {
	var b strings.Builder
	if err := t.t.Execute(&b, fields{User: escape(id.Name), UID: strconv.FormatUint(uint64(id.UID), 10)}); err != nil {
		return "", fmt.Errorf("%s: may use {{.User}} and {{.UID}}: %w", t.key, err)
	}
	return b.String(), nil
}

// rehearse returns an error if the text is the same for every user.
func (t fieldTemplate) rehearse() error {
	as := func(s string) string { return s }
	one, err := t.text(mfa.Identity{Name: "alice", UID: 1000}, as)
	if err != nil {
		return err
	}
	if other, err := t.text(mfa.Identity{Name: "bob", UID: 1001}, as); err != nil || one == other {
		return fmt.Errorf("%s: the user is not in it; write {{.User}} where the name shall stand", t.key)
	}
	return nil
}
