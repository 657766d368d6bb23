package contacts

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"mfa/internal/mfa"
)

// A userDB asks for the JSON user records of systemd (https://systemd.io/USER_RECORD): by
// varlink where systemd-userdbd(8) runs, which knows all of them; else it reads the ones
// that stand in folders (nss-systemd(8)). They have an address, and no number.
type userDB struct {
	socket  string
	folders []string // the first that has a record counts
}

func newUserDB() *userDB {
	return &userDB{
		socket:  "/run/systemd/userdb/" + multiplexer,
		folders: []string{"/etc/userdb", "/run/userdb", "/run/host/userdb", "/usr/local/lib/userdb", "/usr/lib/userdb"},
	}
}

// multiplexer is the service that asks all others (https://systemd.io/USER_GROUP_API).
const multiplexer = "io.systemd.Multiplexer"

// maxRecord bounds a record, in bytes.
const maxRecord = 1 << 20

// A userRecord is what is read of one.
type userRecord struct {
	UserName     string  `json:"userName"`
	UID          *uint32 `json:"uid"`
	EmailAddress string  `json:"emailAddress"`
}

// look implements source.
func (u *userDB) look(ctx context.Context, id mfa.Identity) (values, error) {
	data, err := u.ask(ctx, id)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = u.read(id.Name)
	}
	if err != nil || data == nil {
		return values{}, err
	}
	return ofRecord(data, id)
}

// ofRecord returns what a record says of the account id, and of no other.
func ofRecord(data []byte, id mfa.Identity) (values, error) {
	var r userRecord
	if err := json.Unmarshal(data, &r); err != nil {
		return values{}, fmt.Errorf("the user record does not parse: %w", err)
	}
	if r.UID != nil && *r.UID != id.UID || r.UID == nil && r.UserName != id.Name {
		return values{}, errors.New("the user record is of another account: name and uid have to be the same")
	}
	if r.EmailAddress == "" {
		return values{}, nil
	}
	return values{emails: []string{r.EmailAddress}}, nil
}

// ask asks systemd-userdbd. It returns nil if there is no such user, and an error that
// wraps fs.ErrNotExist where it does not run.
func (u *userDB) ask(ctx context.Context, id mfa.Identity) ([]byte, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", u.socket)
	if err != nil {
		return nil, down{fmt.Errorf("systemd-userdbd: %w", err)}
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	call, err := json.Marshal(map[string]any{
		"method":     "io.systemd.UserDatabase.GetUserRecord",
		"parameters": map[string]any{"userName": id.Name, "service": multiplexer},
	})
	if err != nil {
		return nil, err
	}
	if _, err = c.Write(append(call, 0)); err == nil {
		var reply []byte
		if reply, err = bufio.NewReader(io.LimitReader(c, maxRecord)).ReadBytes(0); err == nil {
			return ofReply(reply[:len(reply)-1])
		}
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return nil, down{fmt.Errorf("systemd-userdbd: read its answer: %w", noEOF(err))}
}

// noEOF says in words that an answer is cut short.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("it is cut short")
	}
	return err
}

// ofReply returns the record in an answer of varlink (https://varlink.org), nil if it
// says that there is none.
func ofReply(data []byte) (record []byte, err error) {
	var reply struct {
		Error      string `json:"error"`
		Parameters struct {
			Record json.RawMessage `json:"record"`
		} `json:"parameters"`
	}
	if err := json.Unmarshal(data, &reply); err != nil {
		return nil, fmt.Errorf("systemd-userdbd: its answer does not parse: %w", err)
	}
	switch {
	case reply.Error == "io.systemd.UserDatabase.NoRecordFound":
		return nil, nil
	case reply.Error != "":
		return nil, fmt.Errorf("systemd-userdbd: %.100q", reply.Error)
	case len(reply.Parameters.Record) == 0:
		return nil, errors.New("systemd-userdbd: its answer has no record")
	}
	return reply.Parameters.Record, nil
}

// read returns the record of a user that stands in a folder, nil if there is none. One
// that others than root could have written is an error.
func (u *userDB) read(name string) ([]byte, error) {
	if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\x00") {
		return nil, nil
	}
	there := false
	for _, folder := range u.folders {
		if _, err := os.Stat(folder); err == nil {
			there = true
		}
		data, err := readRecord(filepath.Join(folder, name+".user"))
		if !errors.Is(err, fs.ErrNotExist) {
			return data, err
		}
	}
	if !there {
		return nil, fmt.Errorf("there are no user records on this machine: no systemd-userdbd, and no %s", u.folders[0])
	}
	return nil, nil
}

func readRecord(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; !info.Mode().IsRegular() || owner != 0 && int(owner) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("%q is not a file that only root can write", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxRecord+1))
	if err == nil && len(data) > maxRecord {
		err = fmt.Errorf("%q is larger than %d bytes", path, maxRecord)
	}
	return bytes.TrimSpace(data), err
}
