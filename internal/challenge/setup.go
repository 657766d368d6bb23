package challenge

import (
	"errors"

	"mfa/internal/mfa"
)

// See takes down the user as they are: what follows in the conversation is for them
// as they are now. It also ends a setup.
func (c *Conversation) See(st mfa.State, en mfa.Enrollment) {
	c.User.See(st, en)
	c.setup, c.building = false, ""
}

// Build says that from here on codes prove the method that is being set up under that
// ID of mfa.Enrolling, so that one which is disabled can be set up anew. A code does
// not count once somebody else began.
func (c *Conversation) Build(id string) { c.setup, c.building = true, id }

// checkSetup returns ErrVoid if another setup took the place of this one.
func (c *Conversation) checkSetup(st mfa.State) error {
	if c.setup && c.building != "" && (st.Enrolling == nil || st.Enrolling.ID != c.building) {
		return ErrVoid
	}
	return nil
}

// ErrVoid means that what is being set up here was begun anew from elsewhere.
var ErrVoid = errors.New("the setup was begun anew from elsewhere")
