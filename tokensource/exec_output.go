package tokensource

import (
	"bytes"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"
	"unicode/utf8"

	"github.com/vmsso/vmsso"
)

// token reads what a helper printed: an assertion, or JSON with one.
func (c *ExecConfig) token(printed []byte) (*vmsso.Token, error) {
	if !utf8.Valid(printed) {
		return nil, fmt.Errorf("%w: it is not UTF-8", vmsso.ErrUnsupportedToken)
	}
	if text := bytes.TrimSpace(bytes.TrimPrefix(printed, []byte("\ufeff"))); bytes.HasPrefix(text, []byte("{")) {
		answer, err := readAnswer(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", vmsso.ErrUnsupportedToken, err)
		}
		return c.answered(answer)
	}
	return &vmsso.Token{Assertion: trimXML(printed)}, nil
}

// An answer is a helper's JSON.
type answer struct{ assertion, expires, certificate, key string }

// readAnswer reads one strictly; its errors quote nothing.
func readAnswer(text []byte) (a answer, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	bad := func() (answer, error) {
		return answer{}, fmt.Errorf("it is not an object of JSON with strings at byte %d", d.InputOffset())
	}
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return bad()
	}
	members := map[string]*string{"assertion": &a.assertion, "expires": &a.expires, "certificate": &a.certificate, "key": &a.key}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return bad()
		}
		member, known := members[fmt.Sprint(name)]
		value, err := d.Token()
		text, is := value.(string)
		switch {
		case err != nil:
			return bad()
		case !known:
			return answer{}, errors.New("its JSON has a member, or one twice, other than assertion, expires, certificate and key")
		case !is:
			return bad()
		}
		*member = text
		delete(members, fmt.Sprint(name))
	}
	if _, err := d.Token(); err != nil { // the }
		return bad()
	}
	if _, err := d.Token(); err != io.EOF {
		return answer{}, fmt.Errorf("there is more behind its JSON, at byte %d", d.InputOffset())
	}
	return a, nil
}

// answered makes the token of an answer.
func (c *ExecConfig) answered(a answer) (*vmsso.Token, error) {
	tok := &vmsso.Token{Assertion: trimXML([]byte(a.assertion))}
	if a.expires != "" {
		t, err := time.Parse(time.RFC3339, a.expires)
		if err != nil {
			return nil, fmt.Errorf(`%w: "expires" in its JSON is not of the form 2006-01-02T15:04:05Z`, vmsso.ErrUnsupportedToken)
		}
		tok.Expires = t
	}
	switch {
	case a.key != "" && a.certificate == "":
		return nil, fmt.Errorf("%w: its JSON has a key without a certificate", vmsso.ErrUnsupportedKey)
	case a.certificate == "":
		return tok, nil
	}
	certificate := c.file(a.certificate)
	key := certificate
	if a.key != "" {
		key = c.file(a.key)
	}
	pair, err := pemPair(certificate, key)
	if err != nil {
		return nil, err
	}
	tok.Key, _ = pair.PrivateKey.(crypto.Signer) // it is one
	return tok, nil
}

// file reads a file that a helper names.
func (c *ExecConfig) file(path string) content {
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.Dir, path)
	}
	return readFile(path, path)
}
