// Command pam_mfa is the PAM module: it carries mfad's prompts to the
// application's conversation and the answers back.
//
// What to know before trusting it: the module is the C of this folder
// (pam_mfa.c what Linux-PAM calls, options.c the module's arguments, relay.c the
// conversation, frame.c the frames of it, connect.c the way to the socket, split.c where
// password and code in one line are cut), and relay.h says why it is C and what it
// promises. The module that is shipped is linked from that C alone, by module.mk: a Go
// runtime inside sshd does not survive sshd's fork. Go is here to test it: drive.go
// calls the same C, and `go build -buildmode=c-shared` gives a module too, fit
// for applications that do not fork.
package main

// The module's entry points are C; a c-shared build wants a main all the same.
func main() {}
