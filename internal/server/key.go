package server

import (
	"context"
	"net/http"

	"mfa/internal/wire"
)

// rotateKey changes the key. It goes on when the caller disconnects, and ends when the
// daemon stops.
func (s exchange) rotateKey(r *http.Request, actor string, out *stream) error {
	s.running.Add(1)
	defer s.running.Done()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	defer context.AfterFunc(s.end, cancel)()
	s.Log.Info("key is changed", "actor", actor)
	var gone error // the caller no longer listens
	begin := func(total int) { gone = out.begin(total) }
	problems := 0
	err := s.RotateKey(ctx, begin, func(user string, err error) {
		line := wire.Resealed{User: user}
		if err != nil {
			problems++
			line.Problem = wire.ProblemOf(err)
		}
		if gone == nil {
			gone = out.item(line)
		}
	})
	if problems > 0 {
		return gone // they were told one by one
	}
	return err
}
