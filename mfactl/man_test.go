package main

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mfa/internal/host/doctor"
	"mfa/internal/wire"
)

// manualVerbs returns what mfactl(1) says of each verb: the item's text. An item
// begins with .It Cm VERB, a flag is Fl -NAME; "" is what stands outside of items.
func manualVerbs(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("../packaging/man/mfactl.1")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	verb, verbs := "", false
	for line := range strings.Lines(string(data)) {
		switch {
		case strings.HasPrefix(line, ".Sh "):
			verb, verbs = "", strings.TrimSpace(line) == ".Sh VERBS"
		case strings.HasPrefix(line, ".Ss "):
			verb = ""
		case verbs && strings.HasPrefix(line, ".It Cm "):
			verb = words(line)
		}
		said[verb] += line
	}
	return said
}

// words returns what follows .It Cm up to the first argument or flag.
func words(line string) string {
	var ws []string
	for _, w := range strings.Fields(line)[2:] {
		if slices.Contains([]string{"Ar", "Fl", "Cm", "Op", "Oo", "Bro"}, w) {
			break
		}
		ws = append(ws, w)
	}
	return strings.Join(ws, " ")
}

// TestManual guards mfactl(1) against drift: it has every verb with every flag,
// and none that there is not. What is missing is printed as it can be pasted.
func TestManual(t *testing.T) {
	said := manualVerbs(t)
	root := newRoot()
	root.InitDefaultCompletionCmd("")
	verbs := map[string]bool{"": true}
	for _, cmd := range runnable(root) {
		verb := strings.TrimPrefix(cmd.CommandPath(), "mfactl ")
		verbs[verb] = true
		text, ok := said[verb]
		if !ok {
			t.Errorf("%s is not in the manual:\n%s", verb, draft(cmd, verb))
			continue
		}
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && !f.Hidden && !strings.Contains(text, "Fl -"+f.Name) {
				t.Errorf("%s --%s is not in the manual: Fl -%s, %s", verb, f.Name, f.Name, f.Usage)
			}
		})
	}
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(said[""], "Fl -"+f.Name) {
			t.Errorf("--%s is not in the manual", f.Name)
		}
	})
	for verb := range said {
		if !verbs[verb] {
			t.Errorf("%q is in the manual, and is no verb", verb)
		}
	}
}

// TestManualNamesEveryKey holds the part JSON of mfactl(1) to what is printed: a program is
// written by the manual, and keys were missing there.
func TestManualNamesEveryKey(t *testing.T) {
	data, err := os.ReadFile("../packaging/man/mfactl.1")
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(data), "\n.Sh JSON\n")
	part, _, _ = strings.Cut(part, "\n.Sh ")
	for item, printed := range map[string]any{
		"status":            wholeStatus{},
		"migrate":           migration{},
		"show , users":      wire.User{},
		"sessions list":     wire.Sessions{},
		"explain":           explained{},
		"doctor":            doctor.Report{},
		"setup Fl -dry-run": setupPlan{},
		"import csv":        wire.ContactSet{},
		"send-test":         wire.SendTestReport{},
	} {
		_, about, is := strings.Cut(part, "\n.It Cm "+item+"\n")
		about, _, _ = strings.Cut(about, "\n.It ")
		if !is {
			t.Errorf("mfactl(1) says nothing of the JSON of %s", item)
		}
		for key := range keysOf(reflect.TypeOf(printed), elsewhere(item)) {
			if !slices.Contains(strings.Fields(about), key) {
				t.Errorf("mfactl(1) does not name the key %s of the JSON of %s", key, item)
			}
		}
	}
}

// elsewhere returns the types in the JSON of an item whose keys the manual tells of at another.
func elsewhere(item string) map[reflect.Type]bool {
	switch item {
	case "setup Fl -dry-run":
		return map[reflect.Type]bool{reflect.TypeFor[doctor.Finding](): true}
	case "explain":
		return map[reflect.Type]bool{reflect.TypeFor[wire.DirectoryContact](): true}
	case "migrate": // of a problem there is no result
		return map[reflect.Type]bool{reflect.TypeFor[wire.Migrated](): true}
	}
	return map[reflect.Type]bool{}
}

// keysOf returns the keys in the JSON of a type, and of what is in it but the types
// that were seen.
func keysOf(t reflect.Type, seen map[reflect.Type]bool) map[string]bool {
	keys := map[string]bool{}
	switch {
	case seen[t] || t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
	case t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice:
		return keysOf(t.Elem(), seen)
	case t.Kind() == reflect.Struct:
		seen[t] = true
		for f := range t.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "-" || !f.IsExported() && !f.Anonymous {
				continue
			}
			if name != "" {
				keys[name] = true
			}
			maps.Copy(keys, keysOf(f.Type, seen))
		}
	}
	return keys
}

// The manual names the shells that there are completions for.
func TestManualNamesShells(t *testing.T) {
	text, shells := manualVerbs(t)["completion"], 0
	for _, cmd := range verbs(newRoot()) {
		if cmd.HasParent() && cmd.Parent().Name() == "completion" {
			if shells++; !strings.Contains(text, ".Cm "+cmd.Name()) {
				t.Errorf("completion %s is not in the manual", cmd.Name())
			}
		}
	}
	if named := strings.Count(text, ".Cm "); shells < 3 || named != shells {
		t.Errorf("the manual names %d of %d shells: %s", named, shells, text)
	}
}

// runnable returns the commands that do something, the help and those of cobra's
// completion aside.
func runnable(cmd *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, sub := range cmd.Commands() {
		switch {
		case sub.Hidden || sub.Name() == "help":
		case sub.HasSubCommands() && sub.Name() != "completion":
			all = append(all, runnable(sub)...)
		default:
			all = append(all, sub)
		}
	}
	return all
}

// draft is what the manual could say of a verb.
func draft(cmd *cobra.Command, verb string) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".It Cm %s", verb)
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		name, _ := pflag.UnquoteUsage(f)
		switch {
		case f.Name == "help" || f.Hidden:
		case f.Value.Type() == "bool":
			fmt.Fprintf(&b, " Oo Fl -%s Oc", f.Name)
		default:
			fmt.Fprintf(&b, " Oo Fl -%s Ar %s Oc", f.Name, name)
		}
	})
	about := cmd.Long
	if about == "" {
		about = cmd.Short + "."
	}
	fmt.Fprintf(&b, "\n%s\n", about)
	return b.String()
}
