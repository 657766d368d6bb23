package local

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"mfa/internal/store"
	"mfa/internal/store/local/wal"
)

// logName is the record of the bucket "sum" that says which batches of the log count: a
// mark and a tag, which binds it to the sum beside it. It is there as long as the format
// is store.FormatLogged.
var logName = []byte("log")

// change makes the following batches go to the other file of the log, and begins to fold
// the recent layer. It waits for the fold before.
func (l *ledger) change() error {
	l.reap(true)
	if l.unfold != nil {
		if err := l.fold(l.older); err != nil {
			return err
		}
		l.unfold = nil
		l.log.Release()
	}
	mark, err := l.log.Switch()
	if err != nil {
		l.broken = err
		return err
	}
	l.mu.Lock()
	l.older, l.recent = l.recent, newLayer(l.now)
	l.older.mark = mark
	l.mu.Unlock()
	l.folding = true
	y := l.older
	l.setup.spawn(func() { l.folded <- l.fold(y) })
	return nil
}

// fold writes the older layer y to the database.
func (l *ledger) fold(y *layer) error {
	if err := l.store([]*layer{y}, &y.mark); err != nil {
		l.health.wrote(err)
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.older = nil
	return nil
}

// reap takes the result of the fold under way, if it is there, or waits for it.
func (l *ledger) reap(wait bool) {
	if !l.folding {
		return
	}
	var err error
	if wait {
		err = <-l.folded
	} else {
		select {
		case err = <-l.folded:
		default:
			return
		}
	}
	l.folding, l.unfold = false, err
	if err == nil && l.log != nil {
		l.log.Release()
	}
}

// store writes layers, the oldest first, in one transaction of the database, together with
// what vouches for them and the mark of the log; nil: no log counts.
func (l *ledger) store(layers []*layer, mark *wal.Mark) error {
	defer drop(l.db)
	if err := l.setup.lost(); err != nil {
		return err
	}
	return l.setup.transact(func() error { return l.db.Update(func(tx *bolt.Tx) error { return l.put(tx, layers, mark) }) })
}

// put writes layers into tx.
func (l *ledger) put(tx *bolt.Tx, layers []*layer, mark *wal.Mark) error {
	after := layers[len(layers)-1].after
	var buckets [len(bucketNames)]*bolt.Bucket
	for i, name := range bucketNames {
		if buckets[i] = tx.Bucket(name); buckets[i] == nil {
			return damaged(errSum)
		}
		if err := buckets[i].SetSequence(after.revs[i]); err != nil {
			return err
		}
	}
	for _, y := range layers {
		for _, at := range y.spots() {
			b, name := buckets[at.bucket], []byte(at.name)
			var err error
			if stored := y.records[at]; stored != nil {
				err = b.Put(name, stored)
			} else {
				err = b.Delete(name)
			}
			if err != nil {
				return err
			}
		}
	}
	return l.vouch(tx, after.sum, mark)
}

// vouch writes a sum and a mark with their tags into tx.
func (l *ledger) vouch(tx *bolt.Tx, s sum, mark *wal.Mark) error {
	b := tx.Bucket(sumBucket)
	if b == nil {
		return damaged(errSum)
	}
	tag := l.auth.Tag(sumBucket, s[:])
	if err := b.Put(sumName, append(s[:], tag[:]...)); err != nil {
		return err
	}
	if mark == nil {
		return b.Delete(logName)
	}
	m := markBytes(*mark)
	tag = l.auth.Tag(logName, m, s[:])
	return b.Put(logName, append(m, tag[:]...))
}

// settle writes all layers and a batch to the database in one transaction.
func (l *ledger) settle(ch *layer) error {
	l.reap(true)
	layers := []*layer{l.recent, ch}
	if l.older != nil {
		layers = slices.Insert(layers, 0, l.older)
	}
	var mark *wal.Mark
	if l.log != nil {
		if l.older != nil {
			l.log.Release() // its fold failed: it is in this one
		}
		m, err := l.log.Switch()
		if err != nil {
			l.broken = err
			return err
		}
		mark = &m
	}
	if err := l.store(layers, mark); err != nil {
		if l.log != nil {
			l.broken = err // it is not known which of its files counts
		}
		if l.stands() == ch.after.sum { // the batch was put in place, and only then a sync failed
			l.show(ch)
		}
		return err
	}
	l.cleared(ch.after)
	return nil
}

// cleared drops the layers, once the database has all of them.
func (l *ledger) cleared(now standing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.older, l.recent, l.now, l.unfold = nil, newLayer(now), now, nil
	if l.log != nil {
		l.log.Release()
	}
}

// stands returns the sum that is in the database.
func (l *ledger) stands() (s sum) {
	_ = l.db.View(func(tx *bolt.Tx) (err error) { s, err = readSum(tx); return err }) // an error: none
	return s
}

// finish writes all layers to the database, and sets the format back to one without a log:
// then the database alone counts, also for builds before logs.
func (l *ledger) finish() error {
	l.reap(true)
	if !l.marked && l.older == nil && len(l.recent.records) == 0 {
		return nil
	}
	ch, err := l.toFormat(store.FormatLogged, store.FormatTagged)
	if err != nil {
		return err
	}
	layers := []*layer{l.recent, ch}
	if l.older != nil {
		layers = slices.Insert(layers, 0, l.older)
	}
	if err := l.store(layers, nil); err != nil {
		if l.stands() == ch.after.sum {
			l.show(ch)
		}
		return err
	}
	l.cleared(ch.after)
	l.marked = false
	return nil
}

// toFormat returns the change of the format from one to another; none, if it is neither.
func (l *ledger) toFormat(from, to int) (*layer, error) {
	ch := newLayer(l.now)
	at := spot{inMeta, formatName}
	err := l.view(func(stored func(spot) []byte) error {
		was := stored(at)
		if len(was) > revSize && string(was[revSize:]) == strconv.Itoa(from) {
			ch.change(at, slices.Clone(was), l.give(ch, &request{at: at, value: strconv.AppendInt(nil, int64(to), 10)}))
		}
		return nil
	})
	return ch, err
}

// begin writes all layers to the database and begins a new log, in files that it opens
// anew. It begins none on a disk with little room, nor after a log that failed for lack of
// room: its files may have holes, or be copied at each write.
func (l *ledger) begin() error {
	full := noRoom(l.broken)
	err := l.finish()
	if l.log != nil {
		err = errors.Join(err, l.log.Close())
		l.log = nil
	}
	switch {
	case err == nil && full:
		err = l.note(l.db.Path())
	case err == nil:
		err = l.start()
	}
	l.broken = err
	return err
}

// noRoom reports whether an error is that of a full disk or quota, or of a file as long as it may
// be.
func noRoom(err error) bool { return store.IsFull(err) || errors.Is(err, unix.EFBIG) }

// start begins a log where none counts.
func (l *ledger) start() error {
	dir := filepath.Dir(l.db.Path())
	if !l.hasRoom(dir) {
		return l.note(l.db.Path())
	}
	var id wal.ID
	rand.Read(id[:])
	log, err := wal.Create(l.folder, id, l.setup.shape.size)
	if noRoom(err) {
		return l.note(l.db.Path())
	}
	if err != nil {
		return err
	}
	ch, err := l.toFormat(store.FormatTagged, store.FormatLogged)
	if err == nil && len(ch.records) == 0 {
		err = errors.New("the format of the database is lost")
	}
	if err == nil {
		mark := wal.Mark{ID: id, Epoch: 1}
		err = l.store([]*layer{ch}, &mark)
		l.marked = err == nil || l.stands() == ch.after.sum
	}
	if l.marked {
		l.cleared(ch.after)
	}
	if err != nil {
		return errors.Join(err, log.Close())
	}
	l.log = log
	if _, real := l.folder.(wal.Dir); !real {
		return nil
	}
	return l.note(l.db.Path(), filepath.Join(dir, wal.Names[0]), filepath.Join(dir, wal.Names[1]))
}

// hasRoom reports whether the disk has room for a log, or already has its files.
func (l *ledger) hasRoom(dir string) bool {
	made := 0
	for _, name := range wal.Names {
		if info, err := os.Lstat(filepath.Join(dir, name)); err == nil && info.Size() == l.setup.shape.size {
			made++
		}
	}
	var fs unix.Statfs_t
	err := unix.Statfs(dir, &fs)
	return made == len(wal.Names) || err == nil && fs.Bavail*uint64(fs.Bsize) >= l.setup.shape.room
}

// inOrder is mend for Store.Check.
func (l *ledger) inOrder(ctx context.Context) error {
	if l.readOnly {
		return nil
	}
	return l.alone(ctx, l.mend)
}

// probe writes all layers to the database, and begins the log anew if it failed, or a fold.
func (l *ledger) probe() error {
	l.reap(true)
	if l.broken != nil || l.unfold != nil {
		return l.begin()
	}
	return l.settle(newLayer(l.now))
}
