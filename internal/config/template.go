package config

import (
	"errors"
	"text/template/parse"
)

// filesOf returns the paths of the files that a template of [sms.http] reads, by
// {{file "/path"}} or {{"/path" | file}}, also nested. A path that the template computes is
// an error: such a file could not be checked beforehand. Text that is no template names
// none; deliver.CheckSMS refuses it.
func filesOf(text string) (paths []string, err error) {
	t := parse.New("")
	t.Mode = parse.SkipFuncCheck
	trees := map[string]*parse.Tree{}
	if _, err := t.Parse(text, "", "", trees); err != nil {
		return nil, nil //nolint:nilerr // as said
	}
	w := fileWalk{}
	for _, tree := range trees {
		w.node(tree.Root)
	}
	return w.paths, w.err
}

// errBuiltPath is the error of a path that is not written out.
var errBuiltPath = errors.New(`file takes a path that is written out, like {{file "/etc/mfa/token"}}`)

// A fileWalk gathers what filesOf returns.
type fileWalk struct {
	paths []string
	err   error
}

func (w *fileWalk) node(n parse.Node) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, child := range n.Nodes {
			w.node(child)
		}
	case *parse.ActionNode:
		w.pipe(n.Pipe)
	case *parse.IfNode:
		w.branch(&n.BranchNode)
	case *parse.RangeNode:
		w.branch(&n.BranchNode)
	case *parse.WithNode:
		w.branch(&n.BranchNode)
	case *parse.TemplateNode:
		w.pipe(n.Pipe)
	case *parse.PipeNode:
		w.pipe(n)
	case *parse.ChainNode:
		w.node(n.Node)
	}
}

func (w *fileWalk) branch(b *parse.BranchNode) {
	w.pipe(b.Pipe)
	w.node(b.List)
	w.node(b.ElseList)
}

func (w *fileWalk) pipe(p *parse.PipeNode) {
	if p == nil {
		return
	}
	for i, cmd := range p.Cmds {
		for _, arg := range cmd.Args {
			w.node(arg)
		}
		if id, ok := cmd.Args[0].(*parse.IdentifierNode); !ok || id.Ident != "file" {
			continue
		}
		args := cmd.Args[1:]
		if len(args) == 0 && i > 0 {
			args = p.Cmds[i-1].Args
		}
		if path, ok := written(args); ok {
			w.paths = append(w.paths, path)
		} else {
			w.err = errBuiltPath
		}
	}
}

// written returns the string that args are, if they are one that is written out.
func written(args []parse.Node) (string, bool) {
	if len(args) != 1 {
		return "", false
	}
	s, ok := args[0].(*parse.StringNode)
	if !ok {
		return "", false
	}
	return s.Text, true
}
