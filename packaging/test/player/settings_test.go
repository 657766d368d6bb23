package main

import "testing"

// TestEnter: a page shows a part of a file, which has more, and may have that part already.
func TestEnter(t *testing.T) {
	const file = "# The file.\n[policy]\n# Who is asked.\nmode = \"required\"\n\n[email]\nfrom = \"\"\n"
	for _, c := range []struct{ shown, want string }{
		{"[policy]\nmode = \"off\"\n", "# The file.\n[policy]\n# Who is asked.\nmode = \"off\"\n\n[email]\nfrom = \"\"\n"},
		{"[policy]\nopt_out = true\n", "# The file.\n[policy]\nopt_out = true\n# Who is asked.\nmode = \"required\"\n\n[email]\nfrom = \"\"\n"},
		{"[session]\nremember = \"ask\"\n", file + "[session]\nremember = \"ask\"\n"},
		{"[[policy.rule]]\nname = \"a\"\n", file + "[[policy.rule]]\nname = \"a\"\n"},
		{"", file},
	} {
		if got := enter(file, c.shown); got != c.want {
			t.Errorf("%q: %q, want %q", c.shown, got, c.want)
		}
	}
	const rule = "[[policy.rule]]\nname = \"a\"\n"
	if got := enter(enter("", rule), rule); got != rule+rule {
		t.Errorf("a second rule: %q", got)
	}
}
