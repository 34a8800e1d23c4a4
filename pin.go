package vmsso

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// PinCertificate returns a copy of cfg, which may be nil, that trusts the server
// whose own certificate has one of these SHA-256 thumbprints, and no other: hex
// digits of either case, with colons or without, as vCenter and govc show them.
// Who has issued the certificate, its name and its dates then do not matter.
//
//	base := http.DefaultTransport.(*http.Transport).Clone()
//	base.TLSClientConfig, err = vmsso.PinCertificate(base.TLSClientConfig, thumbprint)
//
// The check is part of the handshake, so that it holds behind a proxy too. A
// server with another certificate sees nothing of a request; the error wraps
// [ErrTLSIdentity] and names the thumbprint that was found.
func PinCertificate(cfg *tls.Config, thumbprints ...string) (*tls.Config, error) {
	if len(thumbprints) == 0 {
		return nil, errors.New("vmsso: PinCertificate needs a thumbprint")
	}
	var pins [][]byte
	for _, t := range thumbprints {
		pin, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(t), ":", ""))
		if err != nil || len(pin) != sha256.Size {
			return nil, fmt.Errorf("vmsso: the thumbprint %q is not that of SHA-256, which has 64 hex digits", t)
		}
		pins = append(pins, pin)
	}
	if cfg == nil {
		cfg = &tls.Config{}
	}
	cfg = cfg.Clone()
	cfg.InsecureSkipVerify = true // the pin stands for it
	before := cfg.VerifyConnection
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return fmt.Errorf("%w: it has none", ErrTLSIdentity)
		}
		found := sha256.Sum256(state.PeerCertificates[0].Raw)
		if !slices.ContainsFunc(pins, func(pin []byte) bool { return bytes.Equal(pin, found[:]) }) {
			return fmt.Errorf("%w: its thumbprint is %X, which is not the one that was pinned", ErrTLSIdentity, found)
		}
		if before != nil {
			return before(state)
		}
		return nil
	}
	return cfg, nil
}
