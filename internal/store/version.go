package store

import (
	"context"
	"fmt"
	"strconv"
)

// Format is the format of the records that this version writes, and the newest
// it reads. A change that an older version would misread, or would refuse
// without saying why, raises it.
const Format = 2

// FormatTagged is the first format in which a store of one host vouches for its
// records.
const FormatTagged = 2

// FormatText is Format as it is stored.
func FormatText() []byte { return strconv.AppendInt(nil, Format, 10) }

// ParseFormat reads what a store says of its format. One that is newer than Format
// is an error.
func ParseFormat(text []byte) (int, error) {
	have, err := strconv.Atoi(string(text))
	switch {
	case err != nil || have < 1 || strconv.Itoa(have) != string(text):
		return 0, fmt.Errorf("parse %q: %q is not a format", formatKey, text)
	case have > Format:
		return 0, fmt.Errorf("a newer mfad has written the store, in format %d, and this one reads no more than format %d: "+
			"install the newer version again, or restore a backup made before the upgrade", have, Format)
	}
	return have, nil
}

// formatKey is where a store remembers the newest format it was written with.
const formatKey = Meta + "format"

// CheckFormat notes in s that this version writes it, and refuses a store that a
// newer one has written: after a downgrade a login must not be decided by records
// that are half understood.
func CheckFormat(ctx context.Context, s Store) error {
	return Update(ctx, s, formatKey, func(old []byte) ([]byte, error) {
		if old != nil {
			if _, err := ParseFormat(old); err != nil {
				return nil, err
			}
		}
		return FormatText(), nil
	})
}
