package vmsso

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// A record is what a SessionStore keeps for one key: a session, or why there is
// none.
type record struct {
	session  *Session
	refusals []refusal
}

const (
	maxRecord = 1<<20 - 100    // less what encode adds
	recordTTL = 24 * time.Hour // of a session whose end is not known
)

func (r record) empty() bool { return r.session == nil && len(r.refusals) == 0 }

// ttl is how long the record is of use.
func (r record) ttl(now time.Time) time.Duration {
	var ttl time.Duration
	for _, f := range r.refusals {
		ttl = max(ttl, f.until.Sub(now))
	}
	if s := r.session; s != nil {
		if s.Expires.After(now) {
			return max(ttl, s.Expires.Sub(now))
		}
		return max(ttl, recordTTL)
	}
	return ttl
}

// A recordCodec encodes records as a line that tells the form, and behind it, in
// clear: the SHA-256 of the rest, and JSON; sealed: the same JSON by AES-256-GCM,
// with the line and the key as its additional data. The key is in the JSON too: a
// record that was moved is not taken.
type recordCodec struct {
	key  string      // in the store: a hash of origin, protocol and identity
	seal cipher.AEAD // nil: in clear
}

const (
	clearRecord  = "vmsso session 1 clear\n"
	sealedRecord = "vmsso session 1 sealed\n"
)

// newRecordCodec takes a secret of 32 bytes, or none. The store gets to see neither
// identity nor host.
func newRecordCodec(secret []byte, parts ...string) (*recordCodec, error) {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%q", p)
	}
	c := &recordCodec{key: hex.EncodeToString(h.Sum(nil))}
	if len(secret) == 0 {
		return c, nil
	}
	block, err := aes.NewCipher(secret)
	if err != nil || len(secret) != 32 {
		return nil, fmt.Errorf("vmsso: Config.StoreKey has %d bytes: give 32 random ones, or none", len(secret))
	}
	c.seal, err = cipher.NewGCMWithRandomNonce(block)
	return c, err
}

// recordJSON is the form of version 1. Members may be added; what has another
// meaning is another version.
type recordJSON struct {
	Key      string
	Session  *sessionJSON  `json:",omitempty"`
	Refusals []refusalJSON `json:",omitempty"`
}

type sessionJSON struct {
	Header           http.Header       `json:",omitempty"`
	Cookies          []*http.Cookie    `json:",omitempty"`
	Values           map[string]string `json:",omitempty"`
	Created, Expires time.Time         `json:",omitzero"`
	Raw              []byte            `json:",omitempty"`
}

type refusalJSON struct {
	Token                  []byte `json:",omitempty"` // its SHA-256; none: there was none
	Full                   bool   `json:",omitempty"`
	Until                  time.Time
	Kind                   string
	Endpoint, Stage, Fault string
	Status                 int
}

// refusalKinds are the errors that are remembered, by their names in a record; the
// more special come first.
var refusalKinds = []struct {
	name string
	err  error
}{
	{"locked", ErrLocked},
	{"password expired", ErrPasswordExpired},
	{"rejected", ErrRejected},
	{"session limit", ErrSessionLimit},
}

func (c *recordCodec) encode(r record) ([]byte, error) {
	j := recordJSON{Key: c.key}
	if s := r.session; s != nil {
		j.Session = &sessionJSON{s.Header, s.Cookies, s.Values, s.Created, s.Expires, s.Raw}
	}
	for _, f := range r.refusals {
		rj := refusalJSON{f.token[:], f.full, f.until, "", f.err.Endpoint, f.err.Stage, f.err.Fault, f.err.Status}
		for _, k := range refusalKinds {
			if rj.Kind == "" && errors.Is(f.err, k.err) {
				rj.Kind = k.name
			}
		}
		j.Refusals = append(j.Refusals, rj)
	}
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	if len(text) > maxRecord {
		return nil, fmt.Errorf("the session's record has %d bytes, which is too long", len(text))
	}
	if c.seal != nil {
		return c.seal.Seal([]byte(sealedRecord), nil, text, []byte(sealedRecord+c.key)), nil
	}
	sum := sha256.Sum256(text)
	return append(append([]byte(clearRecord), sum[:]...), text...), nil
}

// decode reads a record. Its errors quote nothing of it.
func (c *recordCodec) decode(b []byte) (record, error) {
	text, err := c.open(b)
	if err != nil {
		return record{}, err
	}
	var j recordJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return record{}, errors.New("the record is not of a form that is known")
	}
	if j.Key != c.key {
		return record{}, errors.New("the record is that of another endpoint or identity")
	}
	var r record
	if s := j.Session; s != nil {
		if slices.Contains(s.Cookies, nil) {
			return record{}, errors.New("the record is not of a form that is known")
		}
		r.session = (&Session{Header: s.Header, Cookies: s.Cookies, Values: s.Values, Created: s.Created, Expires: s.Expires, Raw: s.Raw}).kept()
		r.session.restored = true
	}
	for _, rj := range j.Refusals {
		le := &LoginError{Endpoint: rj.Endpoint, Stage: rj.Stage, Fault: rj.Fault, Status: rj.Status, Err: errors.New("the server asked for patience")}
		for _, k := range refusalKinds {
			if rj.Kind == k.name {
				le.Err = k.err
			}
		}
		f := refusal{full: rj.Full, until: rj.Until, err: le}
		copy(f.token[:], rj.Token)
		r.refusals = append(r.refusals, f)
	}
	return r, nil
}

// open returns the JSON of a record.
func (c *recordCodec) open(b []byte) ([]byte, error) {
	if rest, ok := bytes.CutPrefix(b, []byte(sealedRecord)); ok {
		if c.seal == nil {
			return nil, errors.New("the record is encrypted, and there is no StoreKey")
		}
		text, err := c.seal.Open(nil, nil, rest, []byte(sealedRecord+c.key))
		if err != nil {
			return nil, errors.New("the record was made with another StoreKey, for another endpoint or identity, or is damaged")
		}
		return text, nil
	}
	rest, ok := bytes.CutPrefix(b, []byte(clearRecord))
	switch {
	case !ok:
		return nil, errors.New("the record is of another version, or is damaged")
	case c.seal != nil:
		return nil, errors.New("the record is not encrypted, and there is a StoreKey")
	case len(rest) < sha256.Size || sha256.Sum256(rest[sha256.Size:]) != [sha256.Size]byte(rest[:sha256.Size]):
		return nil, errors.New("the record is damaged")
	}
	return rest[sha256.Size:], nil
}
