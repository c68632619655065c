// Package codec maps the events of the ledger to what is stored, and back.
package codec

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// Codec maps event structs to stable names on disk. Names never follow Go type
// names, so a type may be renamed without touching what is stored.
type Codec[E any] struct {
	decode map[string]func([]byte) (E, error)
	names  map[reflect.Type]string
}

// Kind is one line of a Codec.
type Kind[E any] struct {
	name    string
	current reflect.Type // nil for old versions
	decode  func([]byte) (E, error)
}

// Of lists a current event under its stored name.
func Of[E, T any](name string) Kind[E] {
	return Kind[E]{name, reflect.TypeFor[T](), func(b []byte) (E, error) {
		var v T
		err := json.Unmarshal(b, &v)
		e, _ := any(v).(E)
		return e, err
	}}
}

// Short is Of for events of which there are very many. read may refuse, and is
// otherwise to return exactly what encoding/json would.
func Short[E, T any](name string, read func([]byte) (T, bool)) Kind[E] {
	k := Of[E, T](name)
	long := k.decode
	k.decode = func(b []byte) (E, error) {
		if v, ok := read(b); ok {
			e, _ := any(v).(E)
			return e, nil
		}
		return long(b)
	}
	return k
}

// Old lists a stored version that is no longer written, and how to read it today.
func Old[E, T any](name string, upcast func(T) E) Kind[E] {
	return Kind[E]{name, nil, func(b []byte) (e E, err error) {
		var v T
		if err = json.Unmarshal(b, &v); err == nil {
			e = upcast(v)
		}
		return e, err
	}}
}

// New panics on a name or type listed twice, or one that is not an E.
func New[E any](kinds ...Kind[E]) Codec[E] {
	c := Codec[E]{map[string]func([]byte) (E, error){}, map[reflect.Type]string{}}
	for _, k := range kinds {
		if c.decode[k.name] != nil || k.current != nil && (c.names[k.current] != "" || !k.current.Implements(reflect.TypeFor[E]())) {
			panic("codec: bad entry " + k.name)
		}
		c.decode[k.name] = k.decode
		if k.current != nil {
			c.names[k.current] = k.name
		}
	}
	return c
}

// Names returns every stored name the codec can read, sorted.
func (c Codec[E]) Names() []string { return slices.Sorted(maps.Keys(c.decode)) }

// Types returns the struct written under each current stored name.
func (c Codec[E]) Types() map[string]reflect.Type {
	types := make(map[string]reflect.Type, len(c.names))
	for t, name := range c.names {
		types[name] = t
	}
	return types
}

// Encode returns the stored name and bytes of an event.
func (c Codec[E]) Encode(e E) (name string, data []byte, err error) {
	if name = c.names[reflect.TypeOf(e)]; name == "" {
		return "", nil, fmt.Errorf("codec: %T is not listed", e)
	}
	if data, err = json.Marshal(e); err != nil {
		return "", nil, fmt.Errorf("codec: encode %s: %w", name, err)
	}
	return name, data, nil
}

// Decode turns what is stored under a name into today's struct.
func (c Codec[E]) Decode(name string, data []byte) (e E, err error) {
	decode := c.decode[name]
	if decode == nil {
		return e, fmt.Errorf("codec: unknown event type %q", name)
	}
	if e, err = decode(data); err != nil {
		return e, fmt.Errorf("codec: decode %s: %w", name, err)
	}
	return e, nil
}

// Sealed is a ciphertext that stands in the ledger for what not everyone may
// read: base64 of a Tink AEAD ciphertext, padded to one length per field. Its
// key is in the vault: a person's, an estate's, or a meeting's.
type Sealed string
