package wire_test

import (
	"reflect"
	"strings"
	"testing"

	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

func TestCut(t *testing.T) {
	all := []mfa.Ending{
		{Word: "email"},
		mfa.Digits(8),
		{Symbols: 16, Of: "23456789ac", Comma: true, Grouped: true},
		{Symbols: 8, Of: "0123456789", Comma: true},
	}
	for _, want := range [][]mfa.Ending{nil, all[:1], all} {
		got, err := wiretest.Endings(wire.EncodeCut(want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v became %v, %v", want, got, err)
		}
	}
}

// The frame keeps within what the module has room for, and within what its bytes can say.
func TestCutIsBounded(t *testing.T) {
	long := strings.Repeat("x", 200)
	f := wire.EncodeCut([]mfa.Ending{{Word: long}, {Word: long}, {Word: long}, mfa.Digits(6), mfa.Digits(256), {Word: long + long}})
	got, err := wiretest.Endings(f)
	if err != nil || len(got) != 3 || got[2] != mfa.Digits(6) {
		t.Errorf("%d bytes: %v, %v", len(f.Payload), got, err)
	}
}

// SPLIT asks like HELLO, and a daemon that does not know it has no HELLO before it.
func TestSplitIsLikeHello(t *testing.T) {
	f := wiretest.Hello(full)
	f.Type = wire.Split
	if got, err := wire.DecodeHello(f); err != nil || got != full {
		t.Errorf("%+v, %v", got, err)
	}
}
