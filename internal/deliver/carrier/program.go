package carrier

// HintProgram says what to look at when the program that key names failed.
func HintProgram(key string) string {
	return "Look at " + key + ", and run the program by hand as mfad does: no shell, next to no environment."
}

// headLimit is more than Quote lets through: what is private and cut here, so that Quote
// does not know it again, is behind what Quote shows.
const headLimit = 8 * AnswerLimit

// A Head keeps the first bytes written to it, some times AnswerLimit, and drops the rest.
// It has no way in but Write: io.Copy would take a ReadFrom, which bounds nothing.
type Head struct{ kept []byte }

// Write implements io.Writer. It takes everything.
func (h *Head) Write(p []byte) (int, error) {
	h.kept = append(h.kept, p[:min(len(p), headLimit-len(h.kept))]...)
	return len(p), nil
}

// String returns what was kept.
func (h *Head) String() string { return string(h.kept) }

// Exit codes of sysexits.h after which another run can succeed. The others
// (EX_NOUSER, EX_DATAERR, EX_CONFIG, …) stay as they are.
const (
	ExitOSErr    = 71 // no process, no memory
	ExitIOErr    = 74 // disk full
	ExitTempFail = 75
)
