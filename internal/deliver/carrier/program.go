package carrier

// HintProgram returns a hint for an administrator (deliver.Hinted) when the program that
// the key of mfa.toml names failed.
func HintProgram(key string) string {
	return "Look at " + key + ", and run the program by hand as mfad does: no shell, next to no environment."
}

// headLimit is more than Quote shows: a secret that is cut off here, so that Quote does
// not find it, is beyond what Quote shows.
const headLimit = 8 * AnswerLimit

// A Head keeps the first 8 KiB written to it and drops the rest. It must have no ReadFrom,
// which io.Copy would use and which bounds nothing. One goroutine at a time may use it.
type Head struct{ kept []byte }

// Write implements io.Writer. It never fails.
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
