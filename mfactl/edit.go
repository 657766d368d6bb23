package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"mfa/internal/wire"

	"github.com/spf13/cobra"
)

func editCommand(c *client) *cobra.Command {
	return &cobra.Command{
		Use:   "edit USER",
		Short: "Open a user's enrollment in an editor",
		Long: "Open the enrollment of a user as TOML in an editor, and put the result in its place:\n" +
			"wherever enrollments are kept, and also one that does not parse and keeps its user\n" +
			"out. What you save is checked first, and refused if somebody changed the enrollment\n" +
			"meanwhile. A change ends remembered logins and tells the user. Only root may.\n\n" +
			"The editor is that of VISUAL or EDITOR, or else the system's.",
		Example: "  mfactl edit alice\n  EDITOR=nano mfactl edit alice",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var was wire.Record
			if err := c.call(cmd.Context(), wire.GetRecord.For(args[0]), nil, &was); err != nil {
				return err
			}
			d, err := newEditing(was)
			if err != nil {
				return err
			}
			return d.edit(cmd, c)
		},
	}
}

// An editing is an enrollment that is being edited, in a file that only the caller can read.
type editing struct {
	was  wire.Record
	path string
}

func newEditing(was wire.Record) (*editing, error) {
	dir, err := os.MkdirTemp("", "mfactl-edit-")
	if err != nil {
		return nil, failed(err)
	}
	// The name of a user may be any text; editors tell the language by the end.
	d := &editing{was, filepath.Join(dir, "enrollment.toml")}
	if err := os.WriteFile(d.path, []byte(was.Text), 0o600); err != nil {
		d.remove()
		return nil, failed(err)
	}
	return d, nil
}

func (d *editing) remove() { _ = os.RemoveAll(filepath.Dir(d.path)) }

// edit runs the editor until the result is taken or given up. A text that was refused and
// cannot be edited again is left where it is.
func (d *editing) edit(cmd *cobra.Command, c *client) error {
	for {
		text, err := d.open(cmd)
		if err != nil || text == d.was.Text || strings.TrimSpace(text) == "" {
			d.remove()
			if err == nil {
				printf(cmd.OutOrStdout(), "Nothing was changed.\n")
			}
			return err
		}
		err = d.put(cmd, c, text)
		if err == nil {
			d.remove()
			return nil
		}
		if !refused(err) {
			printf(cmd.ErrOrStderr(), "What you wrote is in %s.\n", d.path)
			return err
		}
		printf(cmd.ErrOrStderr(), "%v\n", err)
		if !confirm(cmd, "Edit it again? [y/N] ") {
			d.remove()
			return failed(errors.New("nothing was changed"))
		}
	}
}

// refused says whether the text is what mfad found wrong.
func refused(err error) bool {
	var e exitError
	return errors.As(err, &e) && e.status == http.StatusBadRequest
}

// put has the text take the place of the enrollment.
func (d *editing) put(cmd *cobra.Command, c *client, text string) error {
	var out wire.Edited
	err := c.call(cmd.Context(), wire.PutRecord.For(d.was.User), wire.Edit{Before: d.was.Text, After: text}, &out)
	var e exitError
	if errors.As(err, &e) && e.status == http.StatusConflict {
		e.hint = "Nothing was written. Run 'mfactl edit' again and make your change anew."
		return e
	}
	switch {
	case err != nil:
		return err
	case !out.Changed:
		printf(cmd.OutOrStdout(), "Nothing was changed: both mean the same.\n")
	default:
		printf(cmd.OutOrStdout(), "The enrollment of %s is changed.\n", out.User)
	}
	return nil
}

// open runs the editor, and returns what it saved.
func (d *editing) open(cmd *cobra.Command) (string, error) {
	// Of an interrupt from the terminal the editor decides.
	ctx, stop := signal.NotifyContext(context.WithoutCancel(cmd.Context()), syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	editor := exec.CommandContext(ctx, "sh", "-c", editorCommand()+` "$1"`, "sh", d.path)
	editor.Cancel = func() error { return editor.Process.Signal(syscall.SIGTERM) }
	editor.Stdin, editor.Stdout, editor.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	if err := editor.Run(); err != nil {
		return "", failed(fmt.Errorf("run editor %q: %w; nothing was changed", editorCommand(), err))
	}
	text, err := readPlain(d.path)
	return text, failed(err)
}

// maxEdited bounds what is sent, in bytes: mfad takes 64 KiB with both texts.
const maxEdited = 24 << 10

// readPlain reads a plain file, whatever the editor left in its place.
func readPlain(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%q is not a plain file any more; nothing was changed", path)
	case info.Size() > maxEdited:
		return "", fmt.Errorf("%q has more than %d bytes; nothing was changed", path, maxEdited)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxEdited))
	return string(text), err
}

// editorCommand returns the editor as a shell reads it (environ(7)), by default Debian's
// choice or that of POSIX.
func editorCommand() string {
	for _, name := range []string{"VISUAL", "EDITOR"} {
		if editor := strings.TrimSpace(os.Getenv(name)); editor != "" {
			return editor
		}
	}
	if _, err := exec.LookPath("sensible-editor"); err == nil {
		return "sensible-editor"
	}
	return "vi"
}
