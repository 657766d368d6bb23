package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

const screen = "$ ssh bob@server\nKey & <code>\n█▀▄ █\n▄▄▄▄▄\n" + "  Code: 123456\n"

// TestDraw: what was on the screen is in the picture as text, and a QR code as shapes.
func TestDraw(t *testing.T) {
	svg := draw(screen)
	var text strings.Builder
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if data, is := token.(xml.CharData); is {
			text.Write(data)
		}
	}
	for _, want := range []string{"$ ssh bob@server", "Key & <code>", "[a QR code]", "Code: 123456"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if strings.Contains(svg, "█") || strings.Count(svg, "<path ") != 6 { // two runs above and three below in the first row, one in the second
		t.Errorf("blocks are drawn as\n%s", svg)
	}
}

// TestWrap: a line that is too long goes on in the next, as on a terminal.
func TestWrap(t *testing.T) {
	got := wrap(strings.Repeat("x", columns+3) + "\ny  \n")
	if len(got) != 3 || got[1] != "xxx" || got[2] != "y" {
		t.Errorf("%q", got)
	}
}
