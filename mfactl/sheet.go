package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"mfa/internal/wire"
)

// A sheet is what a table says of where the codes of users go.
type sheet struct {
	lines  []sheetLine
	faults []sheetFault
	unread []string // columns that mean nothing here
}

// A sheetLine is one user, and where it stands.
type sheetLine struct {
	line int
	wire.ContactLine
}

// A sheetFault is what is wrong with a line.
type sheetFault struct {
	line int
	why  string
}

// maxCell bounds a cell that is read, in bytes: no name and no address is longer.
const maxCell = 256

// The columns of a sheet.
const (
	columnUser  = "user"
	columnEmail = "email"
	columnPhone = "phone"
)

// readSheet reads a table of comma-separated values (RFC 4180) as spreadsheets save it:
// a header names the columns, in any order; semicolons or tabs may stand in place of
// commas; a byte order mark and all line ends are passed over, and so are empty lines.
// Every line that cannot be taken is a fault. An error means that there is no table.
func readSheet(data []byte) (sheet, error) {
	text, skipped, err := plainSheet(data)
	if err != nil {
		return sheet{}, err
	}
	first, _, _ := strings.Cut(text, "\n")
	r := csv.NewReader(strings.NewReader(text))
	r.Comma, r.FieldsPerRecord = separator(first), -1
	header, err := r.Read()
	if err != nil {
		return sheet{}, fmt.Errorf("line %d: %w", skipped+1, headerFault(err))
	}
	at, unread, err := columns(header)
	if err != nil {
		return sheet{}, fmt.Errorf("line %d: %w", skipped+1, err)
	}
	s := sheet{unread: unread}
	taken := map[string]int{}
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if bad, ok := errors.AsType[*csv.ParseError](err); ok {
			s.faults = append(s.faults, sheetFault{skipped + bad.StartLine, quoteFault(bad)})
			continue
		}
		if err != nil {
			return sheet{}, err
		}
		if strings.TrimSpace(strings.Join(cells, "")) == "" {
			continue // what a spreadsheet leaves below its last row
		}
		n, _ := r.FieldPos(0)
		l := sheetLine{line: skipped + n}
		if why := l.read(cells, len(header), at, taken); why != "" {
			s.faults = append(s.faults, sheetFault{l.line, why})
			continue
		}
		s.lines = append(s.lines, l)
	}
}

// plainSheet returns the text of data with lines that end in \n, and how many lines
// before it were left out.
func plainSheet(data []byte) (text string, skipped int, err error) {
	const save = `: save it as "CSV UTF-8"`
	switch {
	case bytes.HasPrefix(data, []byte("PK\x03\x04")), bytes.HasPrefix(data, []byte("\xd0\xcf\x11\xe0")):
		return "", 0, errors.New("is a spreadsheet" + save)
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return "", 0, errors.New("is UTF-16" + save)
	case bytes.IndexByte(data, 0) >= 0:
		return "", 0, errors.New("is not text" + save)
	}
	text = strings.TrimPrefix(string(data), "\ufeff")
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	for {
		first, rest, _ := strings.Cut(text, "\n")
		blank := strings.TrimSpace(first) == ""
		if text == "" || !blank && !strings.HasPrefix(first, "sep=") { // a line for Excel alone
			return text, skipped, nil
		}
		text, skipped = rest, skipped+1
	}
}

// separator returns what stands between the cells of a header.
func separator(header string) rune {
	best, most := ',', 0
	for _, r := range ",;\t" {
		if n := strings.Count(header, string(r)); n > most {
			best, most = r, n
		}
	}
	return best
}

func headerFault(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("there is no header; it names the columns: user,email,phone")
	}
	if bad, ok := errors.AsType[*csv.ParseError](err); ok {
		return errors.New(quoteFault(bad))
	}
	return err
}

// quoteFault says what is wrong with the quotes of a line.
func quoteFault(err *csv.ParseError) string {
	if err.Line > err.StartLine || errors.Is(err.Err, csv.ErrQuote) {
		return "a cell that begins with a quote does not end with one"
	}
	return `a quote in a cell: put the cell in quotes and double those in it, like "a ""b"" c"`
}

// columns finds the columns by the header, and those that mean nothing here.
func columns(header []string) (at map[string]int, unread []string, err error) {
	at = map[string]int{}
	for i, cell := range header {
		name := strings.ToLower(strings.TrimSpace(cell))
		_, twice := at[name]
		switch {
		case !slices.Contains([]string{columnUser, columnEmail, columnPhone}, name):
			if name != "" {
				unread = append(unread, strings.TrimSpace(cell))
			}
		case twice:
			return nil, nil, fmt.Errorf("the column %q is there twice", name)
		default:
			at[name] = i
		}
	}
	_, user := at[columnUser]
	_, email := at[columnEmail]
	_, phone := at[columnPhone]
	if !user || !email && !phone {
		return nil, nil, fmt.Errorf("the header has to name the columns user, and email or phone or both; it has %s", strings.Join(quoted(header), ", "))
	}
	return at, unread, nil
}

// quoted returns words in quotes.
func quoted(words []string) []string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = fmt.Sprintf("%q", w)
	}
	return all
}

// read takes the cells of a line, of a table with so many columns. It returns what is
// wrong. Taken has the lines of the users so far.
func (l *sheetLine) read(cells []string, columns int, at map[string]int, taken map[string]int) (why string) {
	for len(cells) > columns && strings.TrimSpace(cells[len(cells)-1]) == "" {
		cells = cells[:len(cells)-1]
	}
	if len(cells) != columns {
		return fmt.Sprintf("it has %s, and the header has %d", counted(len(cells), "cell"), columns)
	}
	for _, c := range []struct {
		column string
		into   *string
	}{{columnUser, &l.User}, {columnEmail, &l.Email}, {columnPhone, &l.Phone}} {
		i, ok := at[c.column]
		if !ok {
			continue
		}
		*c.into = plainCell(cells[i])
		switch {
		case !utf8.ValidString(*c.into):
			return "the " + c.column + ` is not in UTF-8: save the table as "CSV UTF-8"`
		case len(*c.into) > maxCell:
			return fmt.Sprintf("the %s is longer than %d bytes", c.column, maxCell)
		}
	}
	switch first := taken[l.User]; {
	case l.User == "":
		return "there is no user"
	case l.Email == "" && l.Phone == "":
		return fmt.Sprintf("%q has neither an address nor a number", l.User)
	case first > 0:
		return fmt.Sprintf("%q is in line %d already", l.User, first)
	}
	taken[l.User] = l.line
	return ""
}

// formula begins cells that spreadsheets take for something to calculate.
const formula = "=+-@\t\r"

// safeCell returns text as a cell that no spreadsheet calculates: with an apostrophe
// before what would begin a formula.
func safeCell(text string) string {
	if text != "" && strings.Contains(formula, text[:1]) {
		return "'" + text
	}
	return text
}

// plainCell returns the text of a cell, which may be one of safeCell.
func plainCell(cell string) string {
	cell = strings.TrimSpace(cell)
	if rest, ok := strings.CutPrefix(cell, "'"); ok && safeCell(rest) == cell {
		return rest
	}
	return cell
}
