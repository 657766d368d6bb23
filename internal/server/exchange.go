package server

import (
	"mfa/internal/account"
	"mfa/internal/enroll"
	"mfa/internal/login"
)

// A Snapshot is what a request works with: of one configuration, all of it.
type Snapshot struct {
	Engine     *login.Engine
	Enroll     *enroll.Service
	Accounts   *account.Accounts
	AdminGroup string // server.admin_group; empty: only root administers
}

// An exchange is one request to the control socket, from its beginning to its answer,
// with the Snapshot taken at its beginning. Its methods are what the routes do.
type exchange struct {
	*Control
	Snapshot
}

// exchange begins one.
func (s *Control) exchange() exchange { return exchange{s, s.Now()} }
