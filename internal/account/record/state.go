package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/store"
)

// noState is the zero State as JSON.
var noState, _ = json.Marshal(mfa.State{})

// EncodeState returns st as JSON, or nil if it holds nothing, or nothing but floor as its
// Since. Floor is that of the store, and may be nil. User is named in errors.
func EncodeState(user string, st mfa.State, floor *time.Time) ([]byte, error) {
	if st.Since != nil && floor != nil && st.Since.Equal(*floor) && st.UID == 0 {
		bare := st
		if bare.Since = nil; reflect.ValueOf(bare).IsZero() {
			return nil, nil
		}
	}
	b, err := json.Marshal(st)
	if err != nil {
		return nil, fmt.Errorf("encode state of %q: %w", user, err)
	}
	if bytes.Equal(b, noState) {
		return nil, nil
	}
	return b, nil
}

// DecodeState parses what EncodeState wrote. An unknown field was written by a
// newer build and may forbid what this one would allow, so it is an error. The error
// wraps store.ErrUnreadable.
func DecodeState(place string, data []byte) (mfa.State, error) {
	var st mfa.State
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&st); err != nil {
		return mfa.State{}, store.Unreadable(fmt.Errorf("parse %q: %w", place, err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return mfa.State{}, store.Unreadable(fmt.Errorf("parse %q: more than one value", place))
	}
	return st, nil
}
