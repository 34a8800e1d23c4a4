package main

import (
	"crypto"
	"io"
	"sync/atomic"
)

// A key stands for one that nobody can read: in an HSM, a TPM or a KMS, reached by
// PKCS#11 or over a network. The libraries for these have a type like this. It is
// safe for concurrent use.
type key struct {
	inside     crypto.Signer // elsewhere a handle
	signatures atomic.Int64
}

// Public implements [crypto.Signer].
func (k *key) Public() crypto.PublicKey { return k.inside.Public() }

// Sign implements [crypto.Signer]. It gets a digest, not the message. With an RSA key
// opts is the hash alone, which means PKCS #1 v1.5.
func (k *key) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	k.signatures.Add(1)
	return k.inside.Sign(rand, digest, opts)
}
