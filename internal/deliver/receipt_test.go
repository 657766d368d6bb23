package deliver

import (
	"context"
	"testing"
)

func TestReceiptIsLeftAlone(t *testing.T) {
	receipt := "before"
	SetReceipt(WithReceipt(t.Context(), &receipt), "")
	SetReceipt(context.Background(), "nobody's")
	if receipt != "before" {
		t.Errorf("receipt is %q", receipt)
	}
}
