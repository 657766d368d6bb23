package wire

import (
	"bytes"
	"testing"

	"mfa/internal/mfa"
)

// BenchmarkFrames writes and reads the frames of one login on the daemon's side: an
// answer comes, a prompt and a verdict go.
func BenchmarkFrames(b *testing.B) {
	var buf bytes.Buffer
	for b.Loop() {
		buf.Reset()
		for _, f := range []Frame{EncodePrompt(mfa.Prompt{Text: "Code: "}), EncodeDone(mfa.Verdict{Outcome: mfa.Accepted})} {
			if err := Write(&buf, f); err != nil {
				b.Fatal(err)
			}
			if _, err := Read(&buf); err != nil {
				b.Fatal(err)
			}
		}
	}
}
