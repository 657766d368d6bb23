package server

import (
	"mfa/internal/account"
	"mfa/internal/enroll"
	"mfa/internal/login"
)

// A Snapshot is what a request works with, all of one configuration.
type Snapshot struct {
	Engine     *login.Engine
	Enroll     *enroll.Service
	Accounts   *account.Accounts
	AdminGroup string // server.admin_group; empty: only root administers
}

// An exchange is one request to the control socket with the Snapshot taken at its
// beginning. Its methods carry out the routes.
type exchange struct {
	*Control
	Snapshot
}

// exchange begins an exchange.
func (s *Control) exchange() exchange { return exchange{s, s.Now()} }
