package foreign

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"mfa/internal/factor/otp"
)

// tokenColumns are the columns of a list of tokens; those after the secret can be left out.
var tokenColumns = []string{"serial", "secret", "user", "counter", "digits"}

// maxFaults bounds the lines that are named as wrong.
const maxFaults = 20

// TokenCSV reads a list of tokens as lines with commas (RFC 4180), of which the first names
// the columns: serial, secret, and if they are there user, counter and digits. A secret is
// hexadecimal or base32. If any line is wrong, nothing is returned but an error that names
// the lines.
func TokenCSV(text string) (all []Token, err error) {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff")))
	r.TrimLeadingSpace, r.FieldsPerRecord, r.ReuseRecord = true, -1, true
	at, err := tokenHeader(r)
	if err != nil {
		return nil, err
	}
	var faults []error
	seen := map[string]int{}
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			parse, _ := errors.AsType[*csv.ParseError](err)
			return nil, fmt.Errorf("line %d: %w", parse.Line, parse.Err)
		}
		line, _ := r.FieldPos(0) // of a line that was read: else there may be no field
		t, err := tokenLine(fields, at)
		if first := seen[t.App.Serial]; err == nil && first > 0 {
			err = fmt.Errorf("the serial number of line %d once more", first)
		}
		if err != nil {
			if faults = append(faults, fmt.Errorf("line %d: %w", line, err)); len(faults) == maxFaults {
				break
			}
			continue
		}
		if len(all) == maxTokens {
			return nil, fmt.Errorf("more than %d tokens", maxTokens)
		}
		seen[t.App.Serial], t.Place = line, fmt.Sprintf("line %d", line)
		all = append(all, t)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return all, nil
}

// tokenHeader reads the first line, and returns at which place each column is, -1 for one
// that is left out.
func tokenHeader(r *csv.Reader) (at []int, err error) {
	names, err := r.Read()
	if err != nil {
		return nil, errors.New("line 1: want the names of the columns: " + strings.Join(tokenColumns, ","))
	}
	names = slices.Clone(names)
	for i, name := range names {
		names[i] = strings.ToLower(strings.TrimSpace(name))
		if !slices.Contains(tokenColumns, names[i]) || slices.Contains(names[:i], names[i]) {
			return nil, fmt.Errorf("line 1: column %d is not known, or there twice: want %s", i+1, strings.Join(tokenColumns, ","))
		}
	}
	for i, name := range tokenColumns {
		at = append(at, slices.Index(names, name))
		if i < 2 && at[i] < 0 {
			return nil, fmt.Errorf("line 1: there is no column %q", name)
		}
	}
	return append(at, len(names)), nil
}

// tokenLine reads one line.
func tokenLine(fields []string, at []int) (t Token, err error) {
	if want := at[len(tokenColumns)]; len(fields) != want {
		return t, fmt.Errorf("%d columns: want %d", len(fields), want)
	}
	of := func(column int) string {
		if at[column] < 0 {
			return ""
		}
		return strings.TrimSpace(fields[at[column]])
	}
	t = Token{User: of(2), App: App{Serial: of(0), Params: otp.Params{Digits: 6, Algorithm: "SHA1"}}}
	if t.App.Serial == "" {
		return t, errors.New("no serial number")
	}
	if t.App.Secret, err = otp.ParseTokenSecret(of(1)); err != nil {
		return t, errors.New("the secret is neither hexadecimal nor base32, or too short")
	}
	if text := of(3); text != "" {
		if t.App.Count, err = strconv.ParseInt(text, 10, 64); err != nil {
			return t, errors.New("the counter is not a number")
		}
	}
	if text := of(4); text != "" {
		if t.App.Params.Digits, err = strconv.Atoi(text); err != nil {
			return t, errors.New("digits are not a number")
		}
	}
	return t, t.App.check()
}
