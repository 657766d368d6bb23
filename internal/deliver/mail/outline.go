package mail

import (
	"strings"
	"text/template/parse"
)

// What stands for {{ }} in an outline. read takes no template with such a character, and in no
// state of a reader of HTML does it begin or end anything.
const (
	hole   = "\x01"
	aValue = hole + "v" // {{.Host}}, or a comment
	aTurn  = hole + "t" // if, else, with, range, break, continue and end
)

// An outline is the HTML of a template, with holes for what is filled in, and with all
// branches one behind the other. html/template sees each piece of text by itself: so there is
// a hole between any two.
type outline struct {
	html  strings.Builder
	parts []part
}

// A part of an outline begins at a byte of it, and at a byte of the template.
type part struct{ outline, source int }

// outlineOf returns the outline of a tree that bounded took.
func outlineOf(t *parse.Tree) *outline {
	o := &outline{}
	if t != nil {
		o.add(t.Root)
	}
	return o
}

func (o *outline) add(n parse.Node) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for i, child := range n.Nodes {
			if i > 0 && child.Type() == parse.NodeText && n.Nodes[i-1].Type() == parse.NodeText {
				o.html.WriteString(aValue)
			}
			o.add(child)
		}
	case *parse.TextNode:
		o.write(n, string(n.Text))
	case *parse.ActionNode:
		o.write(n, aValue)
	case *parse.IfNode:
		o.branch(&n.BranchNode)
	case *parse.WithNode:
		o.branch(&n.BranchNode)
	case *parse.RangeNode:
		o.branch(&n.BranchNode)
	default:
		o.write(n, aTurn)
	}
}

func (o *outline) branch(b *parse.BranchNode) {
	o.write(b, aTurn)
	o.add(b.List)
	o.html.WriteString(aTurn)
	o.add(b.ElseList)
	o.html.WriteString(aTurn)
}

func (o *outline) write(n parse.Node, s string) {
	o.parts = append(o.parts, part{o.html.Len(), int(n.Position())})
	o.html.WriteString(s)
}

// line returns the line of the template, which is source, that the byte at of the outline is
// from.
func (o *outline) line(source string, at int) int {
	from := 0
	for _, p := range o.parts {
		if p.outline <= at {
			from = p.source + at - p.outline
		}
	}
	return 1 + strings.Count(source[:min(from, len(source))], "\n")
}
