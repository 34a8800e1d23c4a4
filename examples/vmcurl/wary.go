package main

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/tokensource"
)

// A wary source does not send again what was refused, also not in the next run: a
// few wrong passwords lock an account, and a script makes them in a second. Other
// credentials, such as the password that was meant, are sent at once. It is a
// source of one login only.
type wary struct {
	vmsso.TokenSource // asks the token service with what was given

	credentials func(context.Context) (signer.Credentials, error)
	given       *signer.Credentials
	store       vmsso.SessionStore
	key         string
}

func newWary(cfg tokensource.STSConfig, store vmsso.SessionStore, identity string) (*wary, error) {
	sum := sha256.Sum256([]byte("vmcurl: refused: " + identity))
	w := &wary{credentials: cfg.Credentials, store: store, key: hex.EncodeToString(sum[:])}
	if w.credentials == nil {
		fixed := signer.Credentials{Username: cfg.Username, Password: cfg.Password, Certificate: cfg.Certificate}
		w.credentials = func(context.Context) (signer.Credentials, error) { return fixed, nil }
		cfg.Username, cfg.Password, cfg.Certificate = "", "", nil
	}
	cfg.Credentials = func(context.Context) (signer.Credentials, error) { return *w.given, nil } // nobody is asked twice
	sts, err := tokensource.NewSTS(cfg)
	w.TokenSource = sts
	return w, err
}

// Token implements [vmsso.TokenSource]. Processes that run at the same time do it
// one after the other. A store that fails is no reason not to log in.
func (w *wary) Token(ctx context.Context) (*vmsso.Token, error) {
	given, err := w.credentials(ctx)
	if err != nil {
		return nil, err
	}
	w.given = &given
	wait, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	lease, err := w.store.Lock(wait, w.key)
	if err != nil {
		return w.TokenSource.Token(ctx)
	}
	defer func() { _ = lease.Release() }()
	if before := w.before(ctx); before != nil {
		return nil, before
	}
	tok, err := w.TokenSource.Token(ctx)
	var refused *vmsso.LoginError
	if errors.Is(err, vmsso.ErrRejected) && errors.As(err, &refused) {
		w.note(ctx, lease, refused)
	}
	return tok, err
}

// A refusal is what the store keeps, for as long as it counts. Of the credentials it
// has a hash that takes a while to make, and so to guess from.
type refusal struct {
	Salt, Hash            []byte
	Until                 time.Time
	Endpoint, Stage, Said string
	Status                int
}

func (w *wary) hash(salt []byte) []byte {
	const iterations = 600_000
	whole := fmt.Sprintf("%q %q %s", w.given.Username, w.given.Password, fingerprintOf(w.given.Certificate))
	h, err := pbkdf2.Key(sha256.New, whole, salt, iterations, sha256.Size)
	if err != nil {
		return nil // what FIPS 140 forbids: then nothing is remembered
	}
	return h
}

// before returns the refusal of what was given, if it was refused lately.
func (w *wary) before(ctx context.Context) error {
	record, err := w.store.Load(ctx, w.key)
	var r refusal
	if err != nil || json.Unmarshal(record, &r) != nil || !time.Now().Before(r.Until) {
		return nil
	}
	if len(r.Hash) == 0 || subtle.ConstantTimeCompare(r.Hash, w.hash(r.Salt)) != 1 {
		return nil
	}
	return &vmsso.LoginError{
		Endpoint: r.Endpoint, Stage: r.Stage, Status: r.Status, Fault: r.Said, Err: vmsso.ErrRejected,
		RetryAfter: time.Until(r.Until), Remembered: true,
	}
}

func (w *wary) note(ctx context.Context, lease vmsso.Lease, le *vmsso.LoginError) {
	r := refusal{Salt: make([]byte, 16), Until: time.Now().Add(le.RetryAfter), Endpoint: le.Endpoint, Stage: le.Stage, Said: le.Fault, Status: le.Status}
	_, _ = rand.Read(r.Salt)
	r.Hash = w.hash(r.Salt)
	if record, err := json.Marshal(r); err == nil {
		_ = lease.Save(context.WithoutCancel(ctx), record, le.RetryAfter)
	}
}
