package vmssotest

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // for RSA-SHA384 and RSA-SHA512
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxToken bounds an assertion after gzip.
const maxToken = 1 << 20

// signKeys are the attributes of "Authorization: SIGN", token first.
var signKeys = []string{"token", "nonce", "bodyhash", "signature_alg", "signature"}

// signHashes are the values of signature_alg.
var signHashes = map[string]crypto.Hash{"RSA-SHA256": crypto.SHA256, "RSA-SHA384": crypto.SHA384, "RSA-SHA512": crypto.SHA512}

// signHeader holds the attributes of "Authorization: SIGN" by name.
type signHeader map[string]string

// parseSIGN reads the Authorization lines of a login. Mostly there is one. VMware's C# signer cuts a long header into lines: the first one begins
// with the scheme, the others do not, and a value that is cut goes on as the same attribute again at the begin of the next line.
func parseSIGN(lines []string) (signHeader, error) {
	if len(lines) == 0 {
		return nil, errors.New("no Authorization header")
	}
	first, ok := strings.CutPrefix(lines[0], "SIGN ")
	if !ok {
		return nil, errors.New("the scheme of Authorization is not SIGN")
	}
	s, last := signHeader{}, ""
	for i, line := range append([]string{first}, lines[1:]...) {
		if i < len(lines)-1 {
			line = strings.TrimSuffix(line, ",") // cut between two attributes; net/http has taken the space
		}
		for j := 0; j == 0 || line != ""; j++ {
			var key, value string
			var err error
			if key, value, line, err = cutAttribute(line); err != nil {
				return nil, err
			}
			if _, dup := s[key]; dup && (j > 0 || key != last) {
				return nil, fmt.Errorf("SIGN attribute %s twice", key)
			}
			s[key] += value
			last = key
		}
	}
	if s["token"] == "" {
		return nil, errors.New("SIGN without token")
	}
	return s, nil
}

// cutAttribute takes key="value" off the line, and the comma behind it if more follows.
func cutAttribute(line string) (key, value, rest string, err error) {
	key, rest, ok := strings.Cut(line, `="`)
	if !ok {
		return "", "", "", errors.New(`SIGN is not a list of key="value"`)
	}
	if !slices.Contains(signKeys, key) {
		return "", "", "", fmt.Errorf("SIGN attribute %.40q is not known", key)
	}
	if value, rest, ok = strings.Cut(rest, `"`); !ok {
		return "", "", "", fmt.Errorf("SIGN attribute %s does not end", key)
	}
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' || r == ',' }) {
		return "", "", "", fmt.Errorf("SIGN attribute %s is empty or has characters that none of its values can have", key)
	}
	if rest == "" {
		return key, value, "", nil
	}
	if rest, ok = strings.CutPrefix(rest, ","); !ok {
		return "", "", "", fmt.Errorf("SIGN attribute %s is not followed by a comma", key)
	}
	if rest = strings.TrimPrefix(rest, " "); rest == "" {
		return "", "", "", errors.New("SIGN ends with a comma")
	}
	return key, value, rest, nil
}

// assertion takes the assertion out of the token.
func (s signHeader) assertion() (string, error) { return unpackToken(s["token"]) }

// unpackToken takes an assertion out of the token of "Authorization: SIGN": one gzip member in base64. The base64 holds no line break.
func unpackToken(token string) (string, error) {
	packed, err := base64.StdEncoding.Strict().DecodeString(token)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	src := bytes.NewReader(packed)
	zip, err := gzip.NewReader(src)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	zip.Multistream(false)
	plain, err := io.ReadAll(io.LimitReader(zip, maxToken+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("token: %w", err)
	case len(plain) > maxToken:
		return "", errors.New("token: larger than 1 MiB after gzip")
	case src.Len() > 0:
		return "", errors.New("token: more than one gzip member")
	}
	return string(plain), nil
}

// checkBearer refuses attributes that prove nothing: nobody could tell whose signature it is.
func (s signHeader) checkBearer() error {
	for _, key := range signKeys[1:] {
		if _, ok := s[key]; ok {
			return fmt.Errorf("SIGN attribute %s with a bearer token", key)
		}
	}
	return nil
}

// checkPossession checks that the holder's key signed this request, now. It returns the milliseconds of the nonce.
func (s signHeader) checkPossession(r *http.Request, body []byte, holder *x509.Certificate, now time.Time, tolerance time.Duration) (int64, error) {
	for _, key := range signKeys[1:] {
		if _, ok := s[key]; !ok {
			return 0, fmt.Errorf("SIGN without %s, but the token is a holder-of-key token", key)
		}
	}
	key, ok := holder.PublicKey.(*rsa.PublicKey)
	if !ok {
		return 0, errors.New("the holder's key is not an RSA key")
	}
	hash, ok := signHashes[s["signature_alg"]]
	if !ok {
		return 0, fmt.Errorf("signature_alg %.40q is not accepted", s["signature_alg"])
	}
	ms, err := parseNonce(s["nonce"])
	if err != nil {
		return 0, err
	}
	if off := now.Truncate(time.Millisecond).Sub(time.UnixMilli(ms)); off.Abs() > tolerance {
		return 0, fmt.Errorf("nonce is %s off the server's clock", off)
	}
	digest := hash.New()
	digest.Write(body)
	raw := digest.Sum(nil)
	if s["bodyhash"] != encode(raw) {
		return 0, fmt.Errorf("bodyhash is not that of the body (%d bytes)", len(body))
	}
	value, err := base64.StdEncoding.Strict().DecodeString(s["signature"])
	if err != nil {
		return 0, fmt.Errorf("signature: %w", err)
	}
	host, port, err := signedHost(r.Host)
	if err != nil {
		return 0, err
	}
	text := []string{s["nonce"], r.Method, r.URL.Path, host, port}
	signed := hash.New()
	fmt.Fprintf(signed, "%s\n%s\n", strings.Join(text, "\n"), raw)
	if err := rsa.VerifyPKCS1v15(key, hash, signed.Sum(nil), value); err != nil {
		return 0, fmt.Errorf("signature is not by the holder over %q and the digest of the body: %w", text, err)
	}
	return ms, nil
}

// parseNonce reads <unix milliseconds>:<decimal>.
func parseNonce(nonce string) (ms int64, err error) {
	before, after, _ := strings.Cut(nonce, ":")
	if !isDecimal(before) || !isDecimal(after) || before[0] == '0' {
		return 0, fmt.Errorf("nonce %.60q is not <unix milliseconds>:<decimal>", nonce)
	}
	if ms, err = strconv.ParseInt(before, 10, 64); err != nil {
		return 0, fmt.Errorf("nonce: %w", err)
	}
	return ms, nil
}

func isDecimal(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// signedHost splits the Host header of a request as it is signed: the host in lower case, the port 80 if it has none, on https too.
func signedHost(hostport string) (host, port string, err error) {
	host, port = strings.ToLower(hostport), "80"
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host, port = host[:i], host[i+1:]
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if ip, err := netip.ParseAddr(inner); !ok || err != nil || !ip.Is6() {
			return "", "", fmt.Errorf("the Host %.100q is malformed", hostport)
		}
	} else if host == "" || strings.ContainsAny(host, ":[]") {
		return "", "", fmt.Errorf("the Host %.100q is malformed", hostport)
	}
	if !isDecimal(port) {
		return "", "", fmt.Errorf("the Host %.100q has no proper port", hostport)
	}
	return host, port, nil
}

// nonces remembers the milliseconds of the last accepted nonce of each key.
type nonces struct {
	mu   sync.Mutex // guards last
	last map[[sha256.Size]byte]int64
}

// accept demands a greater nonce than the last one of this key and notes it. What is before oldest need not be remembered: it is refused for its age.
func (n *nonces) accept(holder *x509.Certificate, ms, oldest int64) error {
	key := sha256.Sum256(holder.RawSubjectPublicKeyInfo)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last == nil {
		n.last = map[[sha256.Size]byte]int64{}
	}
	switch last, known := n.last[key]; {
	case known && ms == last:
		return fmt.Errorf("nonce: milliseconds %d used again", ms)
	case known && ms < last:
		return fmt.Errorf("nonce: milliseconds %d are before the last accepted ones, %d", ms, last)
	}
	if len(n.last) >= maxSessions {
		for k, last := range n.last {
			if last < oldest {
				delete(n.last, k)
			}
		}
	}
	n.last[key] = ms
	return nil
}
