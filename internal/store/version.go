package store

import (
	"context"
	"fmt"
	"strconv"
)

// Format is the format of the records that this version writes. A change that an
// older version would misread, or would refuse without saying why, raises it.
const Format = FormatTagged

// Formats of a local store. With FormatTagged each record has a tag (a MAC), and the database
// alone counts. It is FormatLogged while a daemon has it open: the newest records are in a
// log beside the database, which older versions cannot read.
const (
	FormatTagged = 2
	FormatLogged = 3

	newest = FormatLogged // that this version reads
)

// FormatText is Format as it is stored.
func FormatText() []byte { return strconv.AppendInt(nil, Format, 10) }

// ParseFormat parses the format that a store holds. One that this version does not read is
// an error.
func ParseFormat(text []byte) (int, error) {
	have, err := strconv.Atoi(string(text))
	switch {
	case err != nil || have < 1 || strconv.Itoa(have) != string(text):
		return 0, fmt.Errorf("parse %q: %q is not a format", formatKey, text)
	case have > newest:
		return 0, fmt.Errorf("a newer mfad has written the store, in format %d, and this one reads no more than format %d: "+
			"install the newer version again, or restore a backup made before the upgrade", have, newest)
	}
	return have, nil
}

// formatKey is where a store remembers the newest format it was written with.
const formatKey = Meta + "format"

// CheckFormat stores Format in s, and refuses a store that a newer version has written:
// after a downgrade a login must not be decided by records that are half understood.
func CheckFormat(ctx context.Context, s Store) error {
	return Update(ctx, s, formatKey, func(old []byte) ([]byte, error) {
		if old != nil {
			if have, err := ParseFormat(old); err != nil || have > Format {
				return old, err
			}
		}
		return FormatText(), nil
	})
}
