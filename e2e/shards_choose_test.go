package e2e

import "testing"

// A whole run is made of shards, also one that leaves some tests out, as that of "make test":
// in one shard it takes twice as long.
func TestChooses(t *testing.T) {
	for arg, want := range map[string]bool{
		"-test.run=^TestSSH$": true, "-test.list=.": true, "-test.bench=.": true, "-test.fuzz=FuzzA": true, "-test.coverprofile=c": true,
		"-test.run": true, "-test.run=": false, "-test.skip=^TestFleetGuide$": false, "-test.v=test2json": false, "-test.timeout=40m0s": false,
	} {
		if got := chooses(arg); got != want {
			t.Errorf("%s: %v", arg, got)
		}
	}
}
