package nss

import (
	"reflect"
	"testing"
)

func TestParsePasswd(t *testing.T) {
	text := "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n" +
		"odd:x:1:1\nminus:x:-1:1::/home/m:/bin/sh\nrelative:x:2:2::home:/bin/sh\n"
	want := []Person{{"root", 0, "/root"}, {"alice", 1000, "/home/alice"}}
	if got := parsePasswd(text); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
