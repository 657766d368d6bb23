package house

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// Each test that docs/threat-model.md, docs/standards.md and docs/module.md name is there,
// in the room that they name with it.
func TestDocsNameRealTests(t *testing.T) {
	rooms := testRooms(t)
	for path, least := range map[string]int{"docs/threat-model.md": 40, "docs/standards.md": 40, "docs/module.md": 4} {
		doc, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile(`(?:\b([a-z_]+(?:/[a-z]+)*) )?\b(Test[A-Z]\w+)`).FindAllStringSubmatch(string(doc), -1)
		if len(named) < least {
			t.Errorf("%s names only %d tests: are they where the test looks?", path, len(named))
		}
		for _, m := range named {
			room, name := m[1], m[2]
			if isRoom, _ := os.Stat(room); room == "" || isRoom == nil {
				room = "e2e"
			}
			switch {
			case len(rooms[name]) == 0:
				t.Errorf("%s names %s, which does not exist", path, name)
			case path != "docs/threat-model.md" && !slices.Contains(rooms[name], room):
				t.Errorf("%s: %s is in %v, not in %s", path, name, rooms[name], room)
			}
		}
	}
}
