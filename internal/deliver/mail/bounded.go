package mail

import (
	"fmt"
	"slices"
	"text/template/parse"
)

// bounded refuses what could keep a template busy for ever, while people wait for their
// codes: loops over anything but what a mail has, loops within loops, and templates that call
// templates.
func bounded(t *parse.Tree) error {
	if t == nil {
		return nil // an empty file
	}
	return look(t, t.Root, false)
}

// look looks at a node, which is within a loop or not.
func look(t *parse.Tree, n parse.Node, looping bool) error {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		for _, child := range n.Nodes {
			if err := look(t, child, looping); err != nil {
				return err
			}
		}
	case *parse.IfNode:
		return branch(t, &n.BranchNode, looping)
	case *parse.WithNode:
		return branch(t, &n.BranchNode, looping)
	case *parse.RangeNode:
		if looping || !overList(n.Pipe) {
			return refused(t, n, "range goes over .Opening, .Facts or .Advice, and not within another range")
		}
		return branch(t, &n.BranchNode, true)
	case *parse.TemplateNode:
		return refused(t, n, "a template of a mail calls no other")
	}
	return nil
}

func branch(t *parse.Tree, b *parse.BranchNode, looping bool) error {
	if err := look(t, b.List, looping); err != nil {
		return err
	}
	return look(t, b.ElseList, looping)
}

// overList says whether a loop goes over a list that a mail has.
func overList(p *parse.PipeNode) bool {
	if len(p.Cmds) != 1 || len(p.Cmds[0].Args) != 1 {
		return false
	}
	field, ok := p.Cmds[0].Args[0].(*parse.FieldNode)
	return ok && slices.Contains([]string{".Opening", ".Facts", ".Advice"}, field.String())
}

func refused(t *parse.Tree, n parse.Node, why string) error {
	at, _ := t.ErrorContext(n)
	return fmt.Errorf("%s: %s", at, why)
}
