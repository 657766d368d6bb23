package delivertest

import "runtime"

// Allocated returns how many bytes were allocated while f ran, in tests that run nothing
// else meanwhile.
func Allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
