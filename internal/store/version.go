package store

import (
	"context"
	"fmt"
	"strconv"
)

// Format is the format of the records that this version writes, and the newest
// it reads. A change that an older version would misread, or would refuse
// without saying why, raises it.
const Format = 1

// formatKey is where a store remembers the newest format it was written with.
const formatKey = Meta + "format"

// CheckFormat notes in s that this version writes it, and refuses a store that a
// newer one has written: after a downgrade a login must not be decided by records
// that are half understood.
func CheckFormat(ctx context.Context, s Store) error {
	return Update(ctx, s, formatKey, func(old []byte) ([]byte, error) {
		if old == nil {
			return strconv.AppendInt(nil, Format, 10), nil
		}
		have, err := strconv.Atoi(string(old))
		switch {
		case err != nil || have < 1:
			return nil, fmt.Errorf("parse %q: %q is not a format", formatKey, old)
		case have > Format:
			return nil, fmt.Errorf("a newer mfad has written the store, in format %d, and this one reads no more than format %d: "+
				"install the newer version again, or restore a backup made before the upgrade", have, Format)
		}
		return strconv.AppendInt(nil, Format, 10), nil
	})
}
