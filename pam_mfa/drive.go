package main

/*
#cgo CFLAGS: -std=gnu11
#cgo LDFLAGS: -lpam
#include <stdlib.h>
#include <security/pam_appl.h>
#include <security/pam_modules.h>
#include "relay.h"

extern void driveSay(uintptr_t who, _Bool failure, char *text);
extern char *driveAsk(uintptr_t who, _Bool echo, char *text);

static inline void drive_say(void *who, bool failure, const char *text)
{
	driveSay((uintptr_t)who, failure, (char *)text);
}

static inline char *drive_ask(void *who, bool echo, const char *text)
{
	return driveAsk((uintptr_t)who, echo, (char *)text);
}

static inline void drive_converse(int fd, int64_t deadline, const struct relay_hello *hello,
				  uintptr_t who, const char *password, struct split_endings *cut,
				  struct relay_verdict *v)
{
	struct relay_talk talk = {
		.who = (void *)who, .say = drive_say, .ask = drive_ask, .password = password, .cut = cut};

	relay_converse(fd, deadline, hello, &talk, v);
}

static inline int drive_nobody(int n, const struct pam_message **m, struct pam_response **r, void *data)
{
	(void)n, (void)m, (void)r, (void)data;
	return PAM_CONV_ERR;
}

// The configuration does not matter: the module is called without a stack.
static inline int drive_proven(const char *folder, const char *service, const char *info)
{
	const char *argv[] = {"proven=publickey"};
	struct pam_conv conv = {.conv = drive_nobody};
	pam_handle_t *pamh = NULL;
	int code = pam_start_confdir("other", "alice", &conv, folder, &pamh);

	if (code == PAM_SUCCESS)
		code = pam_set_item(pamh, PAM_SERVICE, service);
	if (code == PAM_SUCCESS)
		code = pam_putenv(pamh, info);
	if (code == PAM_SUCCESS)
		code = pam_sm_authenticate(pamh, 0, 1, argv);
	pam_end(pamh, code);
	return code;
}
*/
import "C"

import (
	"runtime/cgo"
	"time"
	"unsafe"

	"mfa/internal/mfa"
)

// An outcome is how the relay says a login ended.
type outcome uint32

const (
	broken         outcome = C.RELAY_BROKEN
	accepted       outcome = C.RELAY_ACCEPTED
	exempt         outcome = C.RELAY_EXEMPT
	wrongCode      outcome = C.RELAY_WRONG_CODE
	exhausted      outcome = C.RELAY_EXHAUSTED
	mustEnroll     outcome = C.RELAY_MUST_ENROLL
	unavailable    outcome = C.RELAY_UNAVAILABLE
	noConversation outcome = C.RELAY_NO_CONVERSATION
	notAllowed     outcome = C.RELAY_NOT_ALLOWED
	codeSent       outcome = C.RELAY_CODE_SENT
	cutLine        outcome = C.RELAY_CUT
	hungUp         outcome = C.RELAY_HUNG_UP
)

// maxFrames is how many frames the relay takes in one login, DONE included.
const maxFrames = C.RELAY_MAX_FRAMES

// A verdict is struct relay_verdict.
type verdict struct {
	outcome        outcome
	spoken         bool
	untried        bool
	changePassword bool
	passwordTyped  bool
	why            string
}

// A person is the far end of the relay's conversation. Both are called on the
// goroutine that called converse. ask reports false when there is no answer.
type person interface {
	say(failure bool, text string)
	ask(echo bool, text string) (line string, ok bool)
}

//export driveSay
func driveSay(who C.uintptr_t, failure C.bool, text *C.char) {
	cgo.Handle(who).Value().(person).say(bool(failure), C.GoString(text))
}

//export driveAsk
func driveAsk(who C.uintptr_t, echo C.bool, text *C.char) *C.char {
	line, ok := cgo.Handle(who).Value().(person).ask(bool(echo), C.GoString(text))
	if !ok {
		return nil
	}
	return C.CString(line) // the relay frees it
}

// A deadline is a moment on the relay's clock.
type deadline C.int64_t

// after returns the moment d from now.
func after(d time.Duration) deadline {
	return deadline(C.relay_deadline(C.int64_t(d.Milliseconds())))
}

// passed reports whether the relay takes the moment for past.
func (d deadline) passed() bool { return C.relay_time_left(C.int64_t(d)) == 0 }

// converse runs relay_converse on fd, which stays open. The request's UID is
// not used; texts end at a NUL, as in C.
func converse(fd int, d deadline, req mfa.Request, p person, password string) verdict {
	v, _ := converseOrCut(fd, d, req, p, password, false)
	return v
}

// converseOrCut is converse, or the question how a line is cut, and what was said to it.
func converseOrCut(fd int, d deadline, req mfa.Request, p person, password string, cut bool) (verdict, []byte) {
	texts := [C.RELAY_FIELDS]string{
		C.RELAY_SERVICE: req.Service, C.RELAY_USER: req.User, C.RELAY_RHOST: req.RHost,
		C.RELAY_TTY: req.TTY, C.RELAY_RUSER: req.RUser, C.RELAY_SSH_AUTH_INFO: req.SSHAuthInfo,
		C.RELAY_SSH_CONNECTION: req.SSHConnection, C.RELAY_MODULE: req.Module,
		C.RELAY_HELD: req.Held,
	}
	// In C's memory, because it holds pointers to C's memory.
	hello := (*C.struct_relay_hello)(C.calloc(1, C.sizeof_struct_relay_hello))
	defer C.free(unsafe.Pointer(hello))
	hello.flags = C.uint32_t(req.Flags)
	for i, text := range texts {
		hello.field[i] = C.CString(text)
		defer C.free(unsafe.Pointer(hello.field[i]))
	}
	secret := C.CString(password)
	defer C.free(unsafe.Pointer(secret))

	who := cgo.NewHandle(p)
	defer who.Delete()
	var v C.struct_relay_verdict
	var endings *C.struct_split_endings
	if cut {
		endings = (*C.struct_split_endings)(C.calloc(1, C.sizeof_struct_split_endings))
		defer C.free(unsafe.Pointer(endings))
	}
	C.drive_converse(C.int(fd), C.int64_t(d), hello, C.uintptr_t(who), secret, endings, &v)
	var said []byte
	if cut {
		said = C.GoBytes(unsafe.Pointer(&endings.bytes[0]), C.int(endings.size))
	}
	return verdict{
		outcome:        outcome(v.outcome),
		spoken:         bool(v.spoken),
		untried:        bool(v.untried),
		changePassword: bool(v.change_password),
		passwordTyped:  bool(v.password_typed),
		why:            C.GoString(&v.why[0]),
	}, said
}

// Results of proven.
const (
	codeSuccess = C.PAM_SUCCESS
	codeIgnore  = C.PAM_IGNORE
)

// proven runs pam_sm_authenticate with proven=publickey, for a service and with
// SSH_AUTH_INFO_0, and returns the PAM code. The folder has a configuration of PAM for "other".
func proven(folder, service, info string) int {
	conf := C.CString(folder)
	defer C.free(unsafe.Pointer(conf))
	name := C.CString(service)
	defer C.free(unsafe.Pointer(name))
	env := C.CString("SSH_AUTH_INFO_0=" + info)
	defer C.free(unsafe.Pointer(env))
	return int(C.drive_proven(conf, name, env))
}

// Results of split.
const (
	foundNothing = C.SPLIT_NOTHING
	foundCode    = C.SPLIT_CODE
	foundBroken  = C.SPLIT_BROKEN
)

// split runs split_line. The endings have at most SPLIT_MAX_ENDINGS bytes; of the line
// counts what is before a NUL.
func split(line string, endings []byte) (found int, password, code string) {
	text := C.CString(line)
	defer C.free(unsafe.Pointer(text))
	var e C.struct_split_endings
	e.size = C.size_t(len(endings))
	for i, b := range endings {
		e.bytes[i] = C.uchar(b)
	}
	var at C.struct_split_cut
	found = int(C.split_line(text, &e, &at))
	if found != foundCode {
		return found, line, ""
	}
	return found, line[:at.password], line[at.code:at.end]
}

// challenge runs split_challenge.
func challenge(line string) (password, answer string, ok bool) {
	text := C.CString(line)
	defer C.free(unsafe.Pointer(text))
	room := C.size_t(len(line) + 1)
	buf := (*C.char)(C.calloc(2, room))
	defer C.free(unsafe.Pointer(buf))
	second := (*C.char)(unsafe.Add(unsafe.Pointer(buf), len(line)+1))
	if !bool(C.split_challenge(text, buf, second)) {
		return "", "", false
	}
	return C.GoString(buf), C.GoString(second), true
}

// clean runs relay_clean on a copy of text. It returns what a C caller would
// find before the NUL, and how many bytes the relay says it kept.
func clean(text string, lines bool) (string, int) {
	buf := C.CBytes(append([]byte(text), 0xff)) // no NUL, so that a missing one shows
	defer C.free(buf)
	n := C.relay_clean((*C.char)(buf), C.size_t(len(text)), C.bool(lines))
	return C.GoStringN((*C.char)(buf), C.int(n)), int(n)
}
