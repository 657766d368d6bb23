package otp

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// program makes sure that a program of a Debian package is there.
func program(t *testing.T, name, debian string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	out, err := exec.CommandContext(t.Context(), "../../../e2e/install.sh", debian).CombinedOutput()
	switch {
	case err == nil:
	case os.Geteuid() != 0 && os.Getenv("CI") != "true":
		t.Skipf("needs %s, and only root can install it: apt-get install %s", name, debian)
	default:
		t.Fatalf("install %s: %v\n%s", debian, err, out)
	}
}

// typical has the longest issuer and account that must fit.
func typical() string {
	return URI("Example Corporation.", "alice@host.example.com", rfcSecret("SHA1"), usual)
}

// A look is a terminal's colours.
type look struct {
	name             string
	text, background color.Gray
}

var looks = []look{
	{"dark", color.Gray{Y: 0xd0}, color.Gray{Y: 0x10}},
	{"light", color.Gray{Y: 0x10}, color.Gray{Y: 0xf0}},
}

// photo returns what a terminal of these colours shows of a drawing in half
// blocks, with some of the empty screen around it.
func photo(t *testing.T, drawing string, l look) image.Image {
	t.Helper()
	const dot, margin = 6, 40
	lines := strings.Split(strings.TrimSuffix(drawing, "\n"), "\n")
	width := utf8.RuneCountInString(lines[0])
	img := image.NewGray(image.Rect(0, 0, width*dot+2*margin, 2*len(lines)*dot+2*margin))
	for i := range img.Pix {
		img.Pix[i] = l.background.Y
	}
	block := func(column, row int) {
		for y := range dot {
			for x := range dot {
				img.SetGray(margin+column*dot+x, margin+row*dot+y, l.text)
			}
		}
	}
	for y, line := range lines {
		for x, r := range []rune(line) {
			switch r {
			case '█':
				block(x, 2*y)
				block(x, 2*y+1)
			case '▀':
				block(x, 2*y)
			case '▄':
				block(x, 2*y+1)
			case ' ':
			default:
				t.Fatalf("line %d has %q", y, r)
			}
		}
	}
	return img
}

// read gives a picture to zbarimg and returns what it finds there.
func read(t *testing.T, img image.Image, options ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "photo.png")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "zbarimg", append(options, "--quiet", "--raw", "--nodbus", path)...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("zbarimg: %v\n%s", err, said.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}

func TestQRIsReadOnDarkAndLightTerminals(t *testing.T) {
	program(t, "zbarimg", "zbar-tools")
	for name, text := range map[string]string{
		"typical": typical(),
		"short":   URI("", "al", rfcSecret("SHA1"), usual),
		"longest": URI("Example", "alice@host.example.com", rfcSecret("SHA512"), Params{Digits: 8, Period: time.Minute, Algorithm: "SHA512"}),
	} {
		drawing, err := QR(text, QRUTF8)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range looks {
			t.Run(name+" "+l.name, func(t *testing.T) {
				// The option is for reversed colours; others are read as well.
				if got := read(t, photo(t, drawing, l), "-Stest-inverted"); got != text {
					t.Errorf("read %q, want %q", got, text)
				}
			})
		}
	}
}

// The colours must not be reversed where most people look.
func TestQRLooksAsPrintedOnDarkTerminals(t *testing.T) {
	program(t, "zbarimg", "zbar-tools")
	drawing, err := QR(typical(), QRUTF8)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, photo(t, drawing, looks[0])); got != typical() {
		t.Errorf("read %q, want %q", got, typical())
	}
}

func TestQRFitsInSixtyColumns(t *testing.T) {
	for _, secret := range []struct {
		algorithm string
		quiet     int
	}{{"SHA1", 2}, {"SHA256", 2}, {"SHA512", 2}} {
		p := usual
		p.Algorithm = secret.algorithm
		drawing, err := QR(URI("Example Corporation.", "alice@host.example.com", rfcSecret(p.Algorithm), p), QRUTF8)
		if err != nil {
			t.Errorf("%s: %v", p.Algorithm, err)
			continue
		}
		lines := strings.SplitAfter(drawing, "\n")
		if lines[len(lines)-1] != "" {
			t.Errorf("%s: the last line does not end", p.Algorithm)
		}
		lines = lines[:len(lines)-1]
		width := utf8.RuneCountInString(lines[0]) - 1
		if width > 60 || len(lines) != (width+1)/2 {
			t.Errorf("%s: %d columns, %d lines", p.Algorithm, width, len(lines))
		}
		t.Logf("%s: %d columns, %d lines", p.Algorithm, width, len(lines))
		side, all := strings.Repeat("█", secret.quiet), strings.Repeat("█", width)
		for i, line := range lines {
			line = strings.TrimSuffix(line, "\n")
			if utf8.RuneCountInString(line) != width {
				t.Errorf("%s: line %d is not as wide as the first", p.Algorithm, i)
			}
			last := i == len(lines)-1 // half a line: the number of rows is odd
			if !last && (!strings.HasPrefix(line, side) || !strings.HasSuffix(line, side)) {
				t.Errorf("%s: line %d has no quiet zone", p.Algorithm, i)
			}
			if i < secret.quiet/2 && line != all || last && line != strings.Repeat("▀", width) {
				t.Errorf("%s: line %d is no quiet zone", p.Algorithm, i)
			}
		}
	}
}

// With half of its quiet zone where the whole would not fit; the shorter the text,
// the more of it.
func TestQRFitsOnAScreenOf24Lines(t *testing.T) {
	for bytes, quiet := range map[int]int{60: 4, 106: 4, 107: 2, ScreenText: 2} {
		drawing, err := QR(strings.Repeat("x", bytes), QRUTF8)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(drawing, "\n"); n > 23 {
			t.Errorf("%d bytes take %d lines", bytes, n)
		}
		full := strings.Repeat("█", utf8.RuneCountInString(strings.SplitN(drawing, "\n", 2)[0])) + "\n"
		if !strings.HasPrefix(drawing, strings.Repeat(full, quiet/2)) {
			t.Errorf("%d bytes: the quiet zone is not %d modules high", bytes, quiet)
		}
	}
	drawing, err := QR(strings.Repeat("x", ScreenText+1), QRUTF8)
	if n := strings.Count(drawing, "\n"); err != nil || n <= 23 {
		t.Errorf("%d bytes: %d lines, %v; ScreenText is too low", ScreenText+1, n, err)
	}
}

func TestQRInASCIIIsTheSameCode(t *testing.T) {
	blocks, err := QR(typical(), QRUTF8)
	if err != nil {
		t.Fatal(err)
	}
	hashes, err := QR(typical(), QRASCII)
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSuffix(hashes, "\n"), "\n")
	rows = append(rows, strings.Repeat(" ", len(rows[0]))) // the lower half of the last line
	var drawn strings.Builder
	for y := 0; y < len(rows); y += 2 {
		for x := 0; x < len(rows[y]); x += 2 {
			drawn.WriteString(map[string]string{"####": "█", "##  ": "▀", "  ##": "▄", "    ": " "}[rows[y][x:x+2]+rows[y+1][x:x+2]])
		}
		drawn.WriteByte('\n')
	}
	if drawn.String() != blocks {
		t.Errorf("drawn in ascii\n%s", hashes)
	}
}

func TestQRRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ text, style, want string }{
		"style":        {"x", "sixel", `style is "sixel": want utf8, ascii or off`},
		"no style":     {"x", "", `style is ""`},
		"too wide":     {strings.Repeat("x", 231), QRUTF8, "231 bytes need 61 columns: want 60 or fewer"},
		"no such code": {strings.Repeat("x", 5000), QRUTF8, "5000 bytes are too many"},
	} {
		got, err := QR(tc.text, tc.style)
		if got != "" || err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %d bytes, %v, want %q", name, len(got), err, tc.want)
		}
	}
	if _, err := QR(strings.Repeat("x", 230), QRUTF8); err != nil {
		t.Errorf("the longest text: %v", err)
	}
	if got, err := QR(typical(), QROff); got != "" || err != nil {
		t.Errorf("off draws %q, %v", got, err)
	}
}
