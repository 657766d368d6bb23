package carrier

import (
	"bytes"
	"io"
	"testing"
)

// A program may write without end, and os/exec copies it as io.Copy does.
func TestHeadIsBounded(t *testing.T) {
	for name, write := range map[string]func(io.Writer) (int64, error){
		"written": func(w io.Writer) (sum int64, err error) {
			for range 3 {
				n, err := w.Write(bytes.Repeat([]byte("x"), headLimit))
				if sum += int64(n); err != nil {
					return sum, err
				}
			}
			return sum, nil
		},
		"copied": func(w io.Writer) (int64, error) { return io.Copy(w, io.LimitReader(endless{}, 3*headLimit)) },
	} {
		var h Head
		if n, err := write(&h); n != 3*headLimit || err != nil {
			t.Errorf("%s: took %d, %v", name, n, err)
		}
		if n := len(h.String()); n != headLimit || n < 2*AnswerLimit {
			t.Errorf("%s: kept %d bytes, want %d", name, n, headLimit)
		}
		if n := cap(h.kept); n > 4*headLimit {
			t.Errorf("%s: holds %d bytes", name, n)
		}
	}
	if _, ok := any(new(Head)).(io.ReaderFrom); ok {
		t.Error("a Head reads by itself")
	}
}

// endless is a reader that only reads: it has no WriteTo that would hide ReadFrom.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// A code that the head cuts is behind what Quote shows.
func TestHeadCutsNoSecretInSight(t *testing.T) {
	for pad := headLimit - 8; pad <= headLimit; pad++ {
		var h Head
		_, _ = h.Write(bytes.Repeat([]byte("987654 "), pad/7+1)[:pad])
		_, _ = h.Write([]byte("987654"))
		if got := Quote(h.String(), []string{"987654"}); bytes.Contains([]byte(got), []byte("98")) {
			t.Errorf("after %d bytes: %q", pad, got)
		}
	}
}
