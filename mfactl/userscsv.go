package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"mfa/internal/wire"
)

// csvColumns is the header of 'mfactl users --csv'. New columns are added at the end.
var csvColumns = []string{
	columnUser, columnEmail, columnPhone, "email_confirmed", "phone_confirmed", "methods", "preferred", "locked", "failures", "problem",
}

// printCSV prints users as comma-separated values (RFC 4180), which a spreadsheet takes
// for text and readSheet reads again.
func printCSV(w io.Writer, all []wire.User) error {
	table := csv.NewWriter(w)
	_ = table.Write(csvColumns) // Error has it
	for _, v := range all {
		cells := []string{v.User}
		if v.Problem == "" {
			cells = append(cells, v.Email, v.Phone, csvTime(v.EmailConfirmed), csvTime(v.PhoneConfirmed),
				strings.ReplaceAll(methodsCell(v), ",", " "), string(v.Preferred), lockedCell(v), strconv.Itoa(v.Failures), "")
		} else {
			cells = append(cells, "", "", "", "", "", "", "", "", v.Problem)
		}
		for i, cell := range cells {
			cells[i] = safeCell(printable(cell))
		}
		_ = table.Write(cells)
	}
	table.Flush()
	if err := table.Error(); err != nil {
		return exitError{code: exitFailed, err: fmt.Errorf("print: %w", err)}
	}
	return nil
}

// csvTime is a time as programs and spreadsheets read it (RFC 3339); nothing if there is none.
func csvTime(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
