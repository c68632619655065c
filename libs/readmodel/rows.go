package readmodel

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// Map says how values of V are kept as rows of a table with key K.
//
//	var orders = readmodel.Map[string, Order]{
//		Table:  readmodel.Table{Name: "orders", Key: []string{"id"}, Columns: []string{"id", "state", "score"}},
//		Fields: func(o *Order) []any { return []any{&o.ID, &o.State, &o.Score} },
//	}
//
//	rows := orders.In(tx)
//	rows.Edit(id).State = "finished"
type Map[K comparable, V any] struct {
	Table Table
	// Fields returns pointers to the fields for Table.Columns, in order: rows
	// are scanned into them and written from them.
	Fields func(*V) []any
	// Key returns the values of Table.Key; not needed where K is one column.
	Key func(K) []any
}

// In returns the rows of m's table within a transaction.
func (m Map[K, V]) In(tx *Tx) *Rows[K, V] {
	if m.Key == nil {
		m.Key = func(k K) []any { return []any{k} }
	}
	r := &Rows[K, V]{m: m, tx: tx, entries: map[K]*entry[V]{}}
	var err error
	if r.index, err = m.Table.keyIndex(); err != nil {
		tx.keep(err)
	}
	tx.rows = append(tx.rows, r)
	return r
}

// Rows is a table seen as a map, for the length of one transaction: each row
// is read once at most, and each changed row is written once, at its end. What
// it holds back is not seen by the transaction's own queries. Errors stick to
// the transaction, so no method returns one.
type Rows[K comparable, V any] struct {
	m       Map[K, V]
	tx      *Tx
	index   []int // of the key among the columns
	entries map[K]*entry[V]
	one     string // reads one row
	changed []K    // in the order of the first change
}

type entry[V any] struct {
	value          V
	exists, change bool
}

// Get returns the row of a key and whether there is one.
func (r *Rows[K, V]) Get(k K) (V, bool) {
	e := r.entry(k)
	return e.value, e.exists
}

// Put writes the row of a key; v's key fields must say the same key.
func (r *Rows[K, V]) Put(k K, v V) {
	e, ok := r.entries[k]
	if !ok { // no need to read what is overwritten
		e = &entry[V]{}
		r.entries[k] = e
	}
	e.value, e.exists = v, true
	r.changes(k, e)
}

// Edit returns the row of a key for changing; where there was none, a zero one
// whose key fields must be set. It is valid until the end of
// the fold or the next Flush.
func (r *Rows[K, V]) Edit(k K) *V {
	e := r.entry(k)
	e.exists = true
	r.changes(k, e)
	return &e.value
}

// Delete removes the row of a key, if there is one.
func (r *Rows[K, V]) Delete(k K) {
	e, ok := r.entries[k]
	if !ok {
		e = &entry[V]{}
		r.entries[k] = e
	}
	*e = entry[V]{change: e.change}
	r.changes(k, e)
}

func (r *Rows[K, V]) changes(k K, e *entry[V]) {
	if !e.change {
		e.change = true
		r.changed = append(r.changed, k)
	}
}

// entry returns the entry of a key, read from the table at the first time.
func (r *Rows[K, V]) entry(k K) *entry[V] {
	if e, ok := r.entries[k]; ok {
		return e
	}
	e := &entry[V]{}
	r.entries[k] = e
	if r.tx.err != nil {
		return e
	}
	if r.one == "" {
		r.one = r.query(1)
	}
	switch err := r.tx.readRow(r.tx.ctx, r.one, r.m.Key(k), r.m.Fields(&e.value)); {
	case err == nil:
		e.exists = true
	case !errors.Is(err, sql.ErrNoRows):
		r.tx.keep(fmt.Errorf("readmodel: read %s: %w", r.m.Table.Name, err))
	}
	return e
}

func (r *Rows[K, V]) query(n int) string {
	return "SELECT " + strings.Join(r.m.Table.Columns, ", ") + " FROM " + r.m.Table.Name + " WHERE " + r.m.Table.keyIn(n)
}

// Load reads the rows of many keys with few statements, so that a following
// Get of them reads nothing. A fold that knows its keys should begin with it:
// over a network each Get is a round trip.
func (r *Rows[K, V]) Load(keys ...K) {
	missing := make(map[key]K, len(keys))
	var args [][]any
	for _, k := range keys {
		if _, ok := r.entries[k]; ok {
			continue
		}
		r.entries[k] = &entry[V]{}
		values := r.m.Key(k)
		kk, err := keyOf(values)
		if err != nil {
			r.tx.keep(fmt.Errorf("readmodel: key of %s: %w", r.m.Table.Name, err))
			return
		}
		missing[kk] = k
		args = append(args, values)
	}
	for len(args) > 0 && r.tx.err == nil {
		n := min(len(args), 500/len(r.m.Table.Key))
		if err := r.load(args[:n], missing); err != nil {
			r.tx.keep(fmt.Errorf("readmodel: read %s: %w", r.m.Table.Name, err))
		}
		args = args[n:]
	}
}

func (r *Rows[K, V]) load(keys [][]any, missing map[key]K) error {
	var args []any
	for _, k := range keys {
		args = append(args, k...)
	}
	found, err := r.tx.Query(r.tx.ctx, r.query(len(keys)), args...)
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		e := &entry[V]{exists: true}
		fields := r.m.Fields(&e.value)
		if err := found.Scan(fields...); err != nil {
			return err
		}
		kk, err := r.keyOf(fields)
		if err != nil {
			return err
		}
		k, ok := missing[kk]
		if !ok {
			return errors.New("a key read back is not the key asked for")
		}
		r.entries[k] = e
	}
	return found.Err()
}

// keyOf returns the key among the fields of a row.
func (r *Rows[K, V]) keyOf(fields []any) (key, error) {
	values := make([]any, len(r.index))
	for i, c := range r.index {
		values[i] = fields[c]
	}
	return keyOf(values)
}

// flush writes the changed rows.
func (r *Rows[K, V]) flush() error {
	var gone, kept [][]any
	for _, k := range r.changed {
		e := r.entries[k]
		e.change = false
		if !e.exists {
			gone = append(gone, r.m.Key(k))
			continue
		}
		fields := r.m.Fields(&e.value)
		if len(fields) != len(r.m.Table.Columns) {
			return fmt.Errorf("readmodel: %s has %d fields for %d columns", r.m.Table.Name, len(fields), len(r.m.Table.Columns))
		}
		asked, err := keyOf(r.m.Key(k))
		if err != nil {
			return fmt.Errorf("readmodel: key of %s: %w", r.m.Table.Name, err)
		}
		if written, err := r.keyOf(fields); err != nil || written != asked {
			return errors.Join(fmt.Errorf("readmodel: a row of %s was put under another key than its own", r.m.Table.Name), err)
		}
		kept = append(kept, fields)
	}
	r.changed = nil
	if err := r.tx.delete(r.tx.ctx, r.m.Table, gone); err != nil {
		return fmt.Errorf("readmodel: delete from %s: %w", r.m.Table.Name, err)
	}
	if err := r.tx.upsert(r.tx.ctx, r.m.Table, kept); err != nil {
		return fmt.Errorf("readmodel: write %s: %w", r.m.Table.Name, err)
	}
	return nil
}
