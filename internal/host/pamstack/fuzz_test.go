package pamstack

import (
	"errors"
	"testing"
	"testing/fstest"
)

// FuzzStack holds, in both editions, reading and exploring any file to ending, without a panic, and
// every way to what Run makes of it.
func FuzzStack(f *testing.F) {
	f.Add("auth required pam_unix.so\nauth required pam_mfa.so\n", "auth include test\n", true)
	f.Add("@include other\nauth substack other\nauth [success=2 default=die] pam_unix.so\n", "auth sufficient pam_rootok.so", false)
	f.Add("auth [success=9999999999 default=bad", "auth \\\n required [a\\]b] x", true)
	f.Add("@include test", "@include other", false)
	f.Fuzz(func(t *testing.T, test, other string, old bool) {
		fsys := fstest.MapFS{
			"etc/pam.d/test":  {Data: []byte(test)},
			"etc/pam.d/other": {Data: []byte(other)},
		}
		if old {
			fsys["usr/lib/libpam.so.0"] = &fstest.MapFile{Data: []byte("\x7fELF")}
		}
		s, err := Load(fsys, "test")
		if err != nil {
			return
		}
		lines := s.Stack(Auth)
		ways, err := Explore(lines, nil)
		if errors.Is(err, ErrTooComplex) {
			return
		}
		if err != nil || len(ways) == 0 {
			t.Fatalf("%d ways, %v", len(ways), err)
		}
		for _, w := range ways {
			steps := w.Steps
			got := Run(lines, func(l Line) Code {
				for len(steps) > 0 {
					s := steps[0]
					steps = steps[1:]
					if s.Line.Broken == "" {
						return s.Answer
					}
				}
				t.Fatalf("%v: %s runs, but not on the way", w, l.Module)
				return 0
			})
			if got != w.Result {
				t.Fatalf("%v: the way ends in %v, Run in %v", w, w.Result, got)
			}
		}
	})
}
