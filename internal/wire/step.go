package wire

import (
	"encoding/json"
	"time"
)

// A Step is one step of handing a message over, for an administrator who looks for a
// fault. It holds no code and no password.
type Step struct {
	Name   string        // "resolve", "connect", "tls", "login", …, "accepted"
	Detail string        // what was found or answered; one line
	Took   time.Duration // since the step before; in JSON took_ms, milliseconds
	Err    string        // why it failed; empty: it did not
}

// stepJSON is a Step as JSON has it.
type stepJSON struct {
	Name   string  `json:"name"`
	Detail string  `json:"detail,omitempty"`
	Took   float64 `json:"took_ms"`
	Err    string  `json:"error,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (s Step) MarshalJSON() ([]byte, error) {
	return json.Marshal(stepJSON{s.Name, s.Detail, float64(s.Took.Microseconds()) / 1000, s.Err})
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Step) UnmarshalJSON(data []byte) error {
	var in stepJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*s = Step{in.Name, in.Detail, time.Duration(in.Took * float64(time.Millisecond)), in.Err}
	return nil
}
