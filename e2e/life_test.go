package e2e

import "testing"

// From the first login on: an app, an address over a connection that drops, codes that
// are used, wrong or of the backup set, on a narrow terminal.
func TestLifeOfASecondFactor(t *testing.T) {
	s, clock := inProcess(t)
	alice := newAccount(t, "alice")

	c := narrow(t, s.begin(alice))
	c.pick(t, offerApp, "")
	p := c.addApp(t, clock)
	codes := c.keep(t)
	c.expectIn(t)
	expectNarrow(t, c, alice)
	s.loginByApp(alice, p, clock)
	last := clock.now()
	s.refusedAsUsed(t, alice, p.code(t, last))
	s.refusedAsUsed(t, alice, p.code(t, last.Add(-p.period)))

	c = s.begin(alice)
	c.expect(t, codeOrMenu)
	c.send("m")
	c.pick(t, byBackup, "")
	c.expect(t, backupPrompt)
	c.send(codes[0])
	expectSaid(t, c.expectInAfter(t), "9 backup codes are left")

	t.Run("email, with a connection that drops", func(t *testing.T) {
		bob := newAccount(t, "bob")
		c := narrow(t, s.begin(bob))
		c.pick(t, offerEmail, "")
		c.expect(t, emailPrompt)
		c.send(bob.email)
		c.expect(t, codePrompt(bob))
		code := s.code(bob, 1)
		c.close()
		c = narrow(t, s.begin(bob))
		c.expect(t, ` ago[^\0]*`+codeWanted)
		c.send(code)
		c.keep(t)
		c.expectIn(t)
		expectNarrow(t, c, bob)
		s.expectLetters(bob, 1)
		s.login(bob, 2)
	})
	t.Run("wrong codes", func(t *testing.T) {
		c := s.begin(alice)
		for range 3 {
			c.expect(t, codeOrMenu)
			c.send(wrong(p.code(t, clock.step(p.period))))
		}
		c.expectOut(t)
		s.expectFailures(alice, 3)
	})
}
