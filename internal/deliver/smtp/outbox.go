package smtp

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
	"mfa/internal/host/file"
)

// outbox writes each letter as a file in a maildir, for the demo, tests and
// machines without mail. Any mail reader opens it.
type outbox struct {
	path, host string
	now        func() time.Time
}

func (o outbox) send(ctx context.Context, l letter) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("write outbox %q: %w", o.path, context.Cause(ctx))
	}
	name, err := o.write(bytes.ReplaceAll(l.data, []byte("\r\n"), []byte("\n")))
	rep := carrier.StepsOf(ctx)
	if err == nil {
		rep.Done(stepWrite, o.path, nil)
		rep.Done(carrier.StepAccepted, name, nil)
		return nil
	}
	err = deliver.Hinted(fmt.Errorf("write outbox %q: %w", o.path, err), hintOutbox)
	if errors.Is(err, fs.ErrPermission) {
		err = deliver.Permanent(err)
	}
	rep.Done(stepWrite, o.path, err)
	return err
}

func (outbox) close() error { return nil }

// maildir are the folders of one.
var maildir = [...]string{"tmp", "new", "cur"}

// write delivers as maildir(5) says, a reader of new sees whole messages only,
// and returns the name of the file.
func (o outbox) write(data []byte) (name string, err error) {
	for _, sub := range maildir {
		if err := os.MkdirAll(filepath.Join(o.path, sub), 0o700); err != nil {
			return "", err
		}
	}
	// Time, a part no other delivery has, host: maildir(5), "unique".
	name = fmt.Sprintf("%d.%s.%s", o.now().Unix(), rand.Text(), o.host)
	place := file.Place{Folder: filepath.Join(o.path, "tmp")}
	return name, place.Replace(filepath.Join(o.path, "new", name), data)
}

// stepWrite is the one step of a letter that goes to a folder.
const stepWrite = "write"

// hintOutbox says what to look at when the maildir cannot be written.
const hintOutbox = "Look at email.outbox.path: mfad must be able to write there. Under systemd its folder belongs into ReadWritePaths."
