package main

import (
	"fmt"
	"math/rand/v2"
)

// A cut is one way in which the power fails: a choice of what is there of all that was not
// synced.
type cut struct {
	name   string
	choice choice
}

// most is how many single changes and names are dropped or kept, each alone.
const most = 6

// cuts returns the ways in which the power can fail where a disk stands now, behind k
// operations. So many of them are random, by a seed.
func cuts(d *disk, random int, seed uint64, k int) []cut {
	units := d.units()
	if units == 0 {
		return []cut{{"none", nothing()}}
	}
	all := []cut{
		{"none", nothing()},
		{"all", everything()},
		{"data without names", choice{name: no, change: func(*inode, int) bool { return true }}},
		{"names without data", choice{name: yes, change: func(*inode, int) bool { return false }}},
	}
	all = append(all, single(d)...)
	all = append(all, torn(d)...)
	for v := range random {
		chance := rand.New(rand.NewPCG(seed, uint64(k)<<16|uint64(v)))
		all = append(all, cut{fmt.Sprint("chance ", v), byChance(d, chance)})
	}
	return all
}

func yes(int) bool { return true }
func no(int) bool  { return false }

// nothing is the choice that drops all that is not synced.
func nothing() choice {
	return choice{name: no, change: func(*inode, int) bool { return false }}
}

// units returns how many names and changes are not synced.
func (d *disk) units() int {
	n := len(d.names)
	for _, i := range d.all {
		n += len(i.pending)
	}
	return n
}

// single returns the cuts in which one name or change alone is dropped, or there.
func single(d *disk) (all []cut) {
	for n := range d.names {
		if n >= len(d.names)-most {
			all = append(all,
				cut{fmt.Sprint("without name ", n), choice{func(m int) bool { return m != n }, everything().change, nil}},
				cut{fmt.Sprint("name alone ", n), choice{func(m int) bool { return m == n }, everything().change, nil}})
		}
	}
	for _, file := range d.all {
		for n := range file.pending {
			if n < len(file.pending)-most {
				continue
			}
			here := func(i *inode, m int) bool { return i == file && m == n }
			all = append(all,
				cut{fmt.Sprint("without change ", n), choice{yes, func(i *inode, m int) bool { return !here(i, m) }, nil}},
				cut{fmt.Sprint("change alone ", n), choice{yes, here, nil}})
		}
	}
	return all
}

// torn returns the cuts in which the newest change of each file is there in part: its
// beginning, its end, every other part, in sectors and in pages.
func torn(d *disk) (all []cut) {
	for _, file := range d.all {
		last := len(file.pending) - 1
		if last < 0 || len(file.pending[last].data) <= sector {
			continue
		}
		c := file.pending[last]
		for _, size := range []int64{sector, page} {
			middle := (c.off + int64(len(c.data))/2) / size * size
			for n, keep := range []func(off int64) bool{
				func(off int64) bool { return off < middle },
				func(off int64) bool { return off >= middle },
				func(off int64) bool { return off/size%2 == 0 },
				func(off int64) bool { return off/size%2 == 1 },
				func(off int64) bool { return off >= c.off/size*size+size },
				func(off int64) bool { return off < (c.off+int64(len(c.data))-1)/size*size },
			} {
				name := []string{"beginning", "end", "even", "odd", "but the first", "but the last"}[n]
				part := func(i *inode, m int, off int64) bool { return i != file || m != last || keep(off) }
				all = append(all, cut{fmt.Sprint("torn at ", size, " ", name), choice{yes, everything().change, part}})
			}
		}
	}
	return all
}

// byChance returns a choice by chance, which is the same each time it is asked.
func byChance(d *disk, chance *rand.Rand) choice {
	share := []float64{0.1, 0.3, 0.5, 0.7, 0.9}[chance.IntN(5)]
	size := []int64{sector, page}[chance.IntN(2)]
	names := make([]bool, len(d.names))
	for n := range names {
		names[n] = chance.Float64() < share
	}
	changes := map[*inode][]bool{}
	for _, i := range d.all {
		for range i.pending {
			changes[i] = append(changes[i], chance.Float64() < max(share, 0.5))
		}
	}
	salt := chance.Uint64()
	return choice{
		name:   func(n int) bool { return names[n] },
		change: func(i *inode, n int) bool { return changes[i][n] },
		sector: func(_ *inode, n int, off int64) bool {
			return rand.New(rand.NewPCG(salt, uint64(n)<<40|uint64(off/size))).Float64() < share
		},
	}
}
