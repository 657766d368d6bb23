package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestStepJSON(t *testing.T) {
	for _, s := range []Step{
		{Name: "connect", Detail: "192.0.2.25:25", Took: 1500 * time.Microsecond},
		{Name: "tls", Took: 2 * time.Second, Err: "no"},
	} {
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back Step
		if err := json.Unmarshal(data, &back); err != nil || back != s {
			t.Errorf("%s became %+v (%v)", data, back, err)
		}
	}
	data, _ := json.Marshal(Step{Name: "connect", Took: 1500 * time.Microsecond})
	if got, want := string(data), `{"name":"connect","took_ms":1.5}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if err := new(Step).UnmarshalJSON([]byte("[]")); err == nil {
		t.Error("a list is no step")
	}
}

// A text of several lines would be shown with a mark in the place of each line end.
func TestProblemOf(t *testing.T) {
	err := errors.Join(errors.New("read usage"), fmt.Errorf("look: %w", errors.New("gone")))
	if got := ProblemOf(err); got != "read usage; look: gone" {
		t.Errorf("%q", got)
	}
}
