package main

import (
	"archive/zip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// unpack writes the inputs of an archive into a folder. Where there is no archive there are no
// inputs.
func unpack(archive, folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	r, err := zip.OpenReader(archive)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			return err
		}
		data, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(f.Name)), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// pack writes the inputs of a folder into an archive, which is the same for the same inputs.
// Where there are none there is no archive.
func pack(archive, folder string) error {
	inputs, err := os.ReadDir(folder)
	if err != nil || len(inputs) == 0 {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(archive), 0o755); err != nil {
		return err
	}
	out, err := os.Create(archive)
	if err != nil {
		return err
	}
	w := zip.NewWriter(out)
	for _, input := range inputs {
		if err = packOne(w, filepath.Join(folder, input.Name())); err != nil {
			break
		}
	}
	return errors.Join(err, w.Close(), out.Close())
}

// packOne adds a file to an archive, without its time.
func packOne(w *zip.Writer, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	to, err := w.CreateHeader(&zip.FileHeader{Name: filepath.Base(path), Method: zip.Deflate})
	if err != nil {
		return err
	}
	_, err = to.Write(data)
	return err
}
