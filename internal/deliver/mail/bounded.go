package mail

import (
	"fmt"
	"slices"
	"strings"
	"text/template/parse"
)

// comparisons are functions whose answer depends on what is in a text, and not only on whether
// there is one.
var comparisons = []string{"eq", "ne", "lt", "le", "gt", "ge", "len"}

// functions are those that a template may call. They compare and make no text, so that what a
// template has in memory is no more than itself and its fields.
var functions = append([]string{"and", "or", "not"}, comparisons...)

// bounded refuses what could keep a template busy for ever, or take the memory, while people
// wait for their codes: loops over anything but what a mail has, loops within loops, templates
// that call templates, variables, and functions that make text.
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
	case *parse.ActionNode:
		return calls(t, n.Pipe)
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
	if err := calls(t, b.Pipe); err != nil {
		return err
	}
	if err := look(t, b.List, looping); err != nil {
		return err
	}
	return look(t, b.ElseList, looping)
}

// calls refuses variables, functions that are not in the list, and comparisons of the code. By
// these a mail would be another one for some codes only, as no trial shows, and its subject would
// tell of the code.
func calls(t *parse.Tree, n parse.Node) error {
	var parts []parse.Node
	switch n := n.(type) {
	case *parse.PipeNode:
		for _, v := range n.Decl {
			parts = append(parts, v)
		}
		for _, c := range n.Cmds {
			parts = append(parts, c.Args...)
		}
		if name := comparison(n); name != "" && slices.ContainsFunc(parts, mayHaveCode) {
			return refused(t, n, name+": a template of a mail compares neither .Code nor what may have it in it: .Text, . and $")
		}
	case *parse.ChainNode:
		parts = []parse.Node{n.Node}
	case *parse.VariableNode:
		if n.Ident[0] != "$" {
			return refused(t, n, n.Ident[0]+": a template of a mail has no variables but $")
		}
	case *parse.IdentifierNode:
		if !slices.Contains(functions, n.Ident) {
			return refused(t, n, n.Ident+": a template of a mail calls no function but "+strings.Join(functions, ", "))
		}
	}
	for _, part := range parts {
		if err := calls(t, part); err != nil {
			return err
		}
	}
	return nil
}

// comparison returns the comparison in a pipeline that gets what its other parts yield, or "".
func comparison(p *parse.PipeNode) string {
	for _, c := range p.Cmds {
		if f, ok := c.Args[0].(*parse.IdentifierNode); ok && slices.Contains(comparisons, f.Ident) {
			return f.Ident
		}
	}
	return ""
}

// mayHaveCode says whether what a node yields may be a text with the code in it.
func mayHaveCode(n parse.Node) bool {
	switch n := n.(type) {
	case *parse.PipeNode:
		return slices.ContainsFunc(n.Cmds, func(c *parse.CommandNode) bool { return slices.ContainsFunc(c.Args, mayHaveCode) })
	case *parse.FieldNode:
		return codeAt(n.Ident)
	case *parse.VariableNode:
		return codeAt(n.Ident[1:])
	case *parse.ChainNode:
		return codeAt(n.Field)
	case *parse.DotNode:
		return true
	}
	return false
}

// codeAt says whether a path of fields may lead to a text with the code in it; the empty path
// leads to all.
func codeAt(path []string) bool {
	return len(path) == 0 || slices.Contains([]string{"Code", "Text", "String"}, path[len(path)-1])
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
