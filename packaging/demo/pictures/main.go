// Pictures draws what was on a screen as SVG: "make pictures" has the demo hold real
// logins, and this program draws them for the README.
//
// What to know before trusting it: it draws the file as it is, line by line, with a cell
// for each character, so a picture shows what the terminal showed. Its text can be read
// by a program, too: it is in the SVG as text, and once more as its description.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	out := flag.String("out", "", "the folder that pictures are written to")
	flag.Parse()
	if err := drawAll(*out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

// drawAll draws each screen, which is a file NAME.screen, into dir as NAME.svg.
func drawAll(dir string, screens []string) error {
	for _, path := range screens {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(filepath.Base(path), ".screen")
		if err := os.WriteFile(filepath.Join(dir, name+".svg"), []byte(draw(string(text))), 0o644); err != nil {
			return err
		}
	}
	return nil
}
