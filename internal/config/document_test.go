package config

import (
	"maps"
	"testing"
)

func linesOf(entries []entry, into map[string]int) map[string]int {
	for _, e := range entries {
		into[e.key] = e.line
		linesOf(e.under, into)
	}
	return into
}

func TestLines(t *testing.T) {
	const document = "\ufeff# a comment\r\n" + // 1
		"a = '''\n" + // 2
		"[not.a.table]\n" + // 3
		"b = 1''' # ''' \n" + // 4
		"list = [ # a\n" + // 5
		"  1,\n" + // 6
		"]\n" + // 7
		"[t]\n" + // 8
		"\"q.r\" = 1\n" + // 9
		"inline = {x = 1, y.z = 2}\n" + // 10
		"d.e.f = 1\n" + // 11
		"[u.v]\n" + // 12
		"\n" + // 13
		"w = \"\"\"\\\n" + // 14
		"   long\"\"\"\n" + // 15
		"x.b = 1\n" + // 16
		"x.a = 1\n" + // 17
		"x.c = 1" // 18
	entries, bad := readDocument([]byte(document))
	if bad != nil {
		t.Fatal(bad.in("F"))
	}
	want := map[string]int{
		"a": 2, "list": 5,
		"t": 8, `t."q.r"`: 9,
		"t.inline": 10, "t.inline.x": 10, "t.inline.y": 10, "t.inline.y.z": 10,
		"t.d": 11, "t.d.e": 11, "t.d.e.f": 11,
		"u": 12, "u.v": 12, "u.v.w": 14, "u.v.x": 16, "u.v.x.b": 16, "u.v.x.a": 17, "u.v.x.c": 18,
	}
	if got := linesOf(entries, map[string]int{}); !maps.Equal(got, want) {
		t.Errorf("lines are\n%v\nwant\n%v", got, want)
	}
}
