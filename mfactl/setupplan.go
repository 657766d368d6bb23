package main

import (
	"errors"

	"mfa/internal/host/doctor"
	"mfa/internal/host/setup"
)

// A setupPlan is what a dry run of setup shows programs of one service.
type setupPlan struct {
	Service  string           `json:"service"`
	Changes  []setupChange    `json:"changes"` // none: it is so already
	Warnings []doctor.Finding `json:"warnings,omitempty"`

	files []setup.Change // the same, to show people
}

// A setupChange is one file that would change.
type setupChange struct {
	Path string `json:"path"`
	Diff string `json:"diff"` // as diff -u writes it
}

// plan returns the plan of the service with those changes.
func (s *switcher) plan(changes []setup.Change) []setupPlan {
	p := setupPlan{Service: s.service, Changes: []setupChange{}, Warnings: s.warned, files: changes}
	for _, c := range changes {
		p.Changes = append(p.Changes, setupChange{c.Path, c.Diff()})
	}
	return []setupPlan{p}
}

// showChanges shows people what changes.
func (s *switcher) showChanges(changes []setup.Change) {
	s.Println("This is what changes:")
	s.Println()
	for _, c := range changes {
		printLines(s.OutOrStderr(), c.Diff())
	}
}

// showPlans prints what would change, and that nothing did.
func (s *switcher) showPlans(plans []setupPlan) error {
	if s.asJSON {
		return printJSON(s.OutOrStdout(), plans)
	}
	for _, p := range plans {
		s.showChanges(p.files)
		s.warn(p.Warnings)
	}
	s.Println("Nothing was changed.")
	return nil
}

// showUndo shows what undo would change.
func (s *switcher) showUndo() error {
	services, err := s.toUndo()
	if err != nil {
		return hinted(err, "")
	}
	plans := []setupPlan{}
	for _, s.service = range services {
		b, err := setup.Find(s.service)
		if errors.Is(err, setup.ErrNone) {
			continue
		}
		var changes []setup.Change
		if err == nil {
			changes, err = b.Back()
		}
		if err != nil {
			return s.notUndone(err)
		}
		plans = append(plans, s.plan(changes)...)
	}
	if len(plans) == 0 && !s.asJSON {
		s.Println("There is nothing to take back.")
		return nil
	}
	return s.showPlans(plans)
}
