package record

import (
	"sync"

	"mfa/internal/mfa"
)

const (
	// maxParsed bounds the enrollments that a Parsed keeps, and maxText the text of each,
	// in bytes.
	maxParsed = 4096
	maxText   = 2 << 10
)

// Parsed decodes enrollments and caches the results. An entry is used only for exactly
// the same bytes. A nil Parsed caches nothing. It may be used from many goroutines.
type Parsed struct {
	mu sync.RWMutex       // guards of
	of map[string]*parsed // by place
}

// A parsed is one enrollment. It never changes.
type parsed struct {
	text string
	en   mfa.Enrollment
}

// NewParsed returns an empty Parsed.
func NewParsed() *Parsed { return &Parsed{of: map[string]*parsed{}} }

// DecodeEnrollment is the function of that name. The caller may change the result.
func (p *Parsed) DecodeEnrollment(place string, data []byte) (mfa.Enrollment, error) {
	if p == nil {
		return DecodeEnrollment(place, data)
	}
	p.mu.RLock()
	was := p.of[place]
	p.mu.RUnlock()
	if was != nil && was.text == string(data) {
		return was.en.Clone(), nil
	}
	en, err := DecodeEnrollment(place, data)
	if err == nil && len(data) <= maxText {
		p.keep(place, &parsed{string(data), en.Clone()})
	}
	return en, err
}

func (p *Parsed) keep(place string, en *parsed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, has := p.of[place]; !has && len(p.of) >= maxParsed {
		for other := range p.of { // any one
			delete(p.of, other)
			break
		}
	}
	p.of[place] = en
}
