package carrier

import "testing"

func TestHeadIsBounded(t *testing.T) {
	var h Head
	for range 3 {
		if n, err := h.Write(make([]byte, AnswerLimit)); n != AnswerLimit || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
	}
	if h.Len() != AnswerLimit {
		t.Errorf("kept %d bytes, want %d", h.Len(), AnswerLimit)
	}
}
