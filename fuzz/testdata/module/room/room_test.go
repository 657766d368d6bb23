package room

import "testing"

func FuzzRead(f *testing.F) {
	f.Add("b")
	f.Fuzz(func(t *testing.T, text string) {
		if Read(text); text == "an input that fails" {
			t.Error("it failed")
		}
	})
}
