package otp

import (
	"fmt"
	"image/color"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// The styles of QR.
const (
	QRUTF8  = "utf8"  // half blocks: a column a module, a line two rows
	QRASCII = "ascii" // two columns a module, a line a row: twice as wide, for terminals without UTF-8
	QROff   = "off"   // nothing
)

// maxModules is the widest drawing, quiet zone and all, that a terminal of 60
// columns shows in half blocks.
const maxModules = 60

// screenModules is the highest drawing that a terminal of 24 lines shows in half
// blocks, with one line left for a prompt.
const screenModules = 2 * 23

// ScreenText is how many bytes of text QR draws on a terminal of 24 lines, with a
// line left for a prompt: version 6 of ISO/IEC 18004 in byte mode, level L.
const ScreenText = 134

// quietZone in modules (ISO/IEC 18004, section 9.1). Phones read a code with
// half of it, so a code that would not fit on the screen gets half.
const quietZone = 4

// QR draws text, which must be ASCII, as a QR code for a terminal in one of the
// styles; every line ends with \n. It fails for text that does not fit in 60
// columns of half blocks (about 230 bytes), and for a style it does not know.
//
// It is the light modules and the quiet zone that are drawn, in the terminal's
// text colour. No escape sequence gets through an ssh prompt, so on a dark
// terminal the code looks as printed, and on a light one its colours are
// reversed, which the standard allows and phones read. Either way the whole
// quiet zone is drawn, not left to the background, so a client that trims
// spaces or a wallpaper does no harm.
func QR(text, style string) (string, error) {
	switch style {
	case QROff:
		return "", nil
	case QRUTF8, QRASCII:
	default:
		return "", fmt.Errorf("draw qr code: style is %q: want %s, %s or %s", style, QRUTF8, QRASCII, QROff)
	}
	light, err := lightModules(text)
	if err != nil {
		return "", err
	}
	if style == QRASCII {
		return doubleColumns(light), nil
	}
	return halfBlocks(light), nil
}

// lightModules returns the rows of the code and its quiet zone: true is light.
// The lowest level of error correction keeps it small: a screen has no stains.
func lightModules(text string) ([][]bool, error) {
	code, err := qr.Encode(text, qr.L, qr.Unicode)
	if err != nil {
		return nil, fmt.Errorf("draw qr code: %d bytes are too many", len(text))
	}
	size, quiet := code.Bounds().Dx(), quietZone
	if size+2*quiet > screenModules {
		quiet /= 2
	}
	full := size + 2*quiet
	if full > maxModules {
		return nil, fmt.Errorf("draw qr code: %d bytes need %d columns: want %d or fewer", len(text), full, maxModules)
	}
	rows := make([][]bool, full)
	for y := range rows {
		rows[y] = make([]bool, full)
		for x := range rows[y] {
			cx, cy := x-quiet, y-quiet
			outside := min(cx, cy) < 0 || max(cx, cy) >= size
			rows[y][x] = outside || code.At(cx, cy) == color.White
		}
	}
	return rows, nil
}

// halfBlocks draws two rows a line, so that modules come out about square.
func halfBlocks(light [][]bool) string {
	var b strings.Builder
	for y := 0; y < len(light); y += 2 {
		for x, upper := range light[y] {
			lower := y+1 < len(light) && light[y+1][x]
			switch {
			case upper && lower:
				b.WriteRune('█')
			case upper:
				b.WriteRune('▀')
			case lower:
				b.WriteRune('▄')
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// doubleColumns draws a row a line.
func doubleColumns(light [][]bool) string {
	var b strings.Builder
	for _, row := range light {
		for _, on := range row {
			if on {
				b.WriteString("##")
			} else {
				b.WriteString("  ")
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
