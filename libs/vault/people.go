package vault

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/google/uuid"
	"github.com/tink-crypto/tink-go/v2/tink"
	"golang.org/x/text/unicode/norm"

	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/vault/internal/cipher"
)

// PersonalData is what the vault knows of a person.
type PersonalData struct {
	Name         string `json:"name"`
	DocumentKind string `json:"document_kind"`
	Document     string `json:"document"` // number of the identity document
	Phone        string `json:"phone"`
}

// Known is what EnsurePeople says of one person.
type Known struct {
	ID      string
	Created bool
	// Changed names the fields that were other than in the vault and are now as given.
	Changed []string
}

var persons = readmodel.Table{Name: "person", Key: []string{"id"}, Columns: []string{"id", "data", "document"}}

const (
	people  = 1000 // a transaction
	inQuery = 500  // parameters a query
	block   = 128  // personal data is padded to a multiple of it
)

// EnsurePeople finds people by their documents, or gives them a new random id,
// and returns who they are in the order given; all is on disk then. What is
// given and not empty replaces what was known. Where the same document comes
// twice the later data wins. ErrNoDocument where a person has none; nothing is
// written then.
func (v *Vault) EnsurePeople(ctx context.Context, given []PersonalData) ([]Known, error) {
	hashes := make([][]byte, len(given))
	for i, p := range given {
		if Document(p.Document) == "" {
			return nil, fmt.Errorf("person %d: %w", i, ErrNoDocument)
		}
		hashes[i] = v.documentHash(p.Document)
	}
	known := make([]Known, 0, len(given))
	for len(known) < len(given) {
		from := len(known)
		to := min(from+people, len(given))
		var some []Known
		err := v.db.Update(ctx, func(tx *readmodel.Tx) (err error) {
			some, err = v.ensure(ctx, tx, given[from:to], hashes[from:to])
			return err
		})
		if readmodel.Duplicate(err) {
			continue // another process made one of them: look again
		}
		if err != nil {
			return nil, fmt.Errorf("vault: people: %w", err)
		}
		known = append(known, some...)
	}
	return known, nil
}

// person is a row of the table person with its key.
type person struct {
	id      string
	key     tink.AEAD
	data    PersonalData
	keyset  []byte // encrypted, of a new person
	changed bool
}

// ensure is EnsurePeople within one transaction. Where another process made one
// of the people meanwhile, its error is readmodel.Duplicate.
func (v *Vault) ensure(ctx context.Context, tx *readmodel.Tx, given []PersonalData, hashes [][]byte) ([]Known, error) {
	found, err := v.find(ctx, tx, hashes)
	if err != nil {
		return nil, err
	}
	known := make([]Known, len(given))
	for i, data := range given {
		p := found[string(hashes[i])]
		if p == nil {
			p = &person{id: uuid.NewString(), data: data}
			if p.key, p.keyset, err = v.newKeyset(PersonKey(p.id)); err != nil {
				return nil, err
			}
			found[string(hashes[i])] = p
			known[i] = Known{ID: p.id, Created: true}
			continue
		}
		known[i] = Known{ID: p.id, Changed: p.data.merge(data)}
		p.changed = p.changed || len(known[i].Changed) > 0
	}
	var rows, keys [][]any
	for _, hash := range slices.Sorted(maps.Keys(found)) { // one order for all, so that no two wait for each other
		p := found[hash]
		if !p.changed && p.keyset == nil {
			continue
		}
		sealed, err := p.seal()
		if err != nil {
			return nil, err
		}
		if p.keyset == nil {
			// Not an upsert: that would bring back someone who was erased meanwhile.
			if _, err := tx.Exec(ctx, `UPDATE person SET data = ? WHERE id = ?`, sealed, p.id); err != nil {
				return nil, err
			}
			continue
		}
		rows = append(rows, []any{p.id, sealed, []byte(hash)})
		keys = append(keys, []any{PersonKey(p.id), p.keyset})
	}
	if err := tx.Upsert(ctx, persons, rows); err != nil {
		return nil, err
	}
	return known, tx.Upsert(ctx, subjectKeys, keys)
}

const selectPerson = `SELECT p.id, p.data, p.document, k.keyset FROM person p JOIN subject_key k ON k.subject = 'person/' || p.id WHERE `

// find returns the people with the given documents, by document hash. They stay
// as they are until the end of the transaction.
func (v *Vault) find(ctx context.Context, tx *readmodel.Tx, hashes [][]byte) (map[string]*person, error) {
	found := make(map[string]*person, len(hashes))
	hashes = slices.SortedFunc(slices.Values(hashes), bytes.Compare) // one order for all, so that no two wait for each other
	for some := range slices.Chunk(hashes, inQuery) {
		rows, err := tx.Query(ctx, selectPerson+`p.document IN `+in(len(some))+` ORDER BY p.document`+tx.ForUpdate("p"), anys(some)...)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			p, hash, err := v.scan(rows)
			if err != nil {
				return nil, err
			}
			found[string(hash)] = p
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// scan reads and decrypts one row of selectPerson.
func (v *Vault) scan(row interface{ Scan(...any) error }) (*person, []byte, error) {
	var p person
	var sealed, document, keys []byte
	if err := row.Scan(&p.id, &sealed, &document, &keys); err != nil {
		return nil, nil, err
	}
	handle, err := v.handle(PersonKey(p.id), keys)
	if err != nil {
		return nil, nil, err
	}
	if p.key, err = cipher.New(handle); err != nil {
		return nil, nil, err
	}
	b, err := p.key.Decrypt(sealed, personalData(p.id))
	if err == nil {
		b, err = unpad(b)
	}
	if err != nil || json.Unmarshal(b, &p.data) != nil {
		return nil, nil, fmt.Errorf("vault: the data of person %s is damaged", p.id) // no cause: it could quote the data
	}
	return &p, document, nil
}

func (p *person) seal() ([]byte, error) {
	b, err := json.Marshal(p.data)
	if err != nil {
		return nil, err
	}
	padded, err := pad(b, (len(b)+block-1)/block*block)
	if err != nil {
		return nil, err
	}
	return p.key.Encrypt(padded, personalData(p.id))
}

// personalData is the associated data of a person's row.
func personalData(id string) []byte { return associated(PersonKey(id), "personal-data") }

// merge takes over what is not empty in other, and names what was different.
func (p *PersonalData) merge(other PersonalData) (changed []string) {
	for _, f := range []struct {
		name     string
		old, new *string
	}{
		{"name", &p.Name, &other.Name},
		{"document_kind", &p.DocumentKind, &other.DocumentKind},
		{"document", &p.Document, &other.Document},
		{"phone", &p.Phone, &other.Phone},
	} {
		if *f.new != "" && *f.new != *f.old {
			*f.old = *f.new
			changed = append(changed, f.name)
		}
	}
	return changed
}

// PersonByDocument returns the id of the person with a document.
func (v *Vault) PersonByDocument(ctx context.Context, document string) (id string, ok bool, err error) {
	ids, err := v.PeopleByDocument(ctx, []string{document})
	id, ok = ids[document]
	return id, ok, err
}

// PeopleByDocument returns the ids of the people with the given documents, by
// document as given; unknown ones are missing.
func (v *Vault) PeopleByDocument(ctx context.Context, documents []string) (map[string]string, error) {
	ids := make(map[string]string, len(documents))
	byHash := make(map[string][]string, len(documents)) // the same document may be written in several ways
	hashes := make([][]byte, 0, len(documents))
	for _, d := range documents {
		hash := v.documentHash(d)
		if byHash[string(hash)] == nil {
			hashes = append(hashes, hash)
		}
		byHash[string(hash)] = append(byHash[string(hash)], d)
	}
	for some := range slices.Chunk(hashes, inQuery) {
		rows, err := v.db.Query(ctx, `SELECT document, id FROM person WHERE document IN `+in(len(some)), anys(some)...)
		if err != nil {
			return nil, fmt.Errorf("vault: people by document: %w", err)
		}
		defer rows.Close()
		for rows.Next() {
			var hash []byte
			var id string
			if err := rows.Scan(&hash, &id); err != nil {
				return nil, fmt.Errorf("vault: people by document: %w", err)
			}
			for _, d := range byHash[string(hash)] {
				ids[d] = id
			}
		}
		if err := rows.Err(); err != nil {
			return nil, fmt.Errorf("vault: people by document: %w", err)
		}
	}
	return ids, nil
}

// Person returns a person's data, or ErrNoPerson. Callers record who read it, and why.
func (v *Vault) Person(ctx context.Context, id string) (PersonalData, error) {
	p, _, err := v.scan(v.db.QueryRow(ctx, selectPerson+`p.id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return PersonalData{}, fmt.Errorf("%s: %w", PersonKey(id), ErrNoPerson)
	}
	if err != nil {
		return PersonalData{}, fmt.Errorf("%s: %w", PersonKey(id), err)
	}
	return p.data, nil
}

// PutPerson replaces a person's data, for the id of someone known or for a new
// one; an empty document is none. ErrDocumentTaken where it is another person's,
// ErrNoKey where the person was erased.
func (v *Vault) PutPerson(ctx context.Context, id string, data PersonalData) error {
	key, err := v.key(ctx, PersonKey(id), true)
	if err != nil {
		return fmt.Errorf("%s: %w", PersonKey(id), err)
	}
	sealed, err := (&person{id: id, key: key, data: data}).seal()
	if err != nil {
		return fmt.Errorf("%s: %w", PersonKey(id), err)
	}
	var hash []byte
	if Document(data.Document) != "" {
		hash = v.documentHash(data.Document)
	}
	err = v.db.Update(ctx, func(tx *readmodel.Tx) error {
		// Touching the key's row keeps an erasure at the same moment from leaving the data behind.
		alive, err := tx.Exec(ctx, `UPDATE subject_key SET subject = subject WHERE subject = ? AND keyset IS NOT NULL`, PersonKey(id))
		if err != nil {
			return err
		}
		if n, err := alive.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrNoKey)
		}
		return tx.Upsert(ctx, persons, [][]any{{id, sealed, hash}})
	})
	switch {
	case readmodel.Duplicate(err):
		return fmt.Errorf("%s: %w", PersonKey(id), ErrDocumentTaken)
	case err != nil:
		return fmt.Errorf("%s: %w", PersonKey(id), err)
	}
	return nil
}

// documentHash is by what a person is found.
func (v *Vault) documentHash(document string) []byte { return v.HMAC("document", Document(document)) }

// Document returns a document's number as people are found by it: whatever the
// width and case of its letters, spaces and dashes. It may be empty.
func Document(document string) string {
	return strings.ToUpper(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) {
			return -1
		}
		return r
	}, norm.NFKC.String(document)))
}

// in returns a list of n parameters in parentheses.
func in(n int) string { return "(" + strings.TrimSuffix(strings.Repeat("?, ", n), ", ") + ")" }

func anys[T any](values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}
