package main

import (
	"math/rand/v2"
	"net"
	"testing"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// Where a login can be remembered no backup code is typed, also if one is asked for: it would
// be taken for a login that is remembered. At the console it is.
func TestBackupCodesAtTheConsole(t *testing.T) {
	const onPaper = "2222-3333-4444-5555"
	typed := map[place]int{}
	for seed := range uint64(100) {
		for _, from := range places {
			r := &running{daemon: &daemon{}}
			c := &client{run: r, rand: rand.New(rand.NewPCG(seed, 0))}
			o := &owner{name: "lp", sets: []*paper{{"paper 1", []string{onPaper}}}}
			here, there := net.Pipe()
			lines := make(chan string, 1)
			go func() { // ends with the pipe
				f, err := wire.Read(there)
				if err == nil {
					err = wire.Write(there, wire.EncodeDone(mfa.Verdict{Outcome: mfa.Accepted}))
				}
				if err != nil {
					t.Error(err)
				}
				lines <- string(f.Payload)
			}()
			talk := &talk{conn: here, said: heard{text: "Type one of your backup codes. " + asksBackup, asks: true}}
			if err := c.responds(o, talk, from); err != nil {
				t.Fatal(err)
			}
			if <-lines == onPaper {
				typed[from]++
			}
			_ = here.Close()
		}
	}
	if typed[console] == 0 || len(typed) != 1 {
		t.Errorf("backup codes were typed at %v", typed)
	}
}
