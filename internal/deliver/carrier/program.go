package carrier

import "bytes"

// HintProgram says what to look at when the program that key names failed.
func HintProgram(key string) string {
	return "Look at " + key + ", and run the program by hand as mfad does: no shell, next to no environment."
}

// A Head keeps the first AnswerLimit bytes written to it and drops the rest.
type Head struct{ bytes.Buffer }

// Write implements io.Writer. It takes everything.
func (h *Head) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), AnswerLimit-h.Len())])
	return len(p), nil
}

// Exit codes of sysexits.h after which another run can succeed. The others
// (EX_NOUSER, EX_DATAERR, EX_CONFIG, …) stay as they are.
const (
	ExitOSErr    = 71 // no process, no memory
	ExitIOErr    = 74 // disk full
	ExitTempFail = 75
)
