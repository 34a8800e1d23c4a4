package signer

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vmsso/vmsso"
)

// AutomationHeader returns the value of the Authorization header with which
// vSphere Automation takes a SAML token over REST: the token and, for a
// holder-of-key token, a signature of the method, path, host and body of this
// request. The request's Host decides what is signed if it is set, its URL
// otherwise; the query is not signed. Holder-of-key needs an RSA key: the
// servers document no other.
//
// Each value can be used once: servers refuse a nonce that is not newer than
// the one before.
func (s *Signer) AutomationHeader(req *http.Request, body []byte) (string, error) {
	if s.key == nil {
		return s.automationHeader(req, body, "")
	}
	return s.automationHeader(req, body, s.nonces.next(time.Now()))
}

func (s *Signer) automationHeader(req *http.Request, body []byte, nonce string) (string, error) {
	if s.packed == nil {
		return "", fmt.Errorf("%w: only a token can log in to vSphere Automation", vmsso.ErrUnsupportedToken)
	}
	if s.key == nil {
		return s.packed(), nil
	}
	if s.key.alg.rest == "" {
		return "", s.key.alg.refusedBy("vSphere Automation over REST", "RSA keys only, with SHA-256, SHA-384 or SHA-512; its JSON-RPC takes more")
	}
	var sum [64]byte
	hash := appendSum(sum[:0], s.key.alg.hash, body)
	host, port := hostAndPort(req)
	method := cmp.Or(strings.ToUpper(req.Method), http.MethodGet)
	var space [512]byte
	signed := space[:0]
	for _, line := range [...]string{nonce, method, req.URL.Path, host, port} {
		signed = append(append(signed, line...), '\n')
	}
	signature, err := s.key.sign(append(append(signed, hash...), '\n'))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	packed := s.packed()
	b.Grow(len(packed) + len(nonce) + base64.StdEncoding.EncodedLen(len(signature)) + 256)
	b.WriteString(packed)
	b.WriteString(`, signature_alg="`)
	b.WriteString(s.key.alg.rest)
	b.WriteString(`", signature="`)
	writeBase64(&b, signature)
	b.WriteString(`", nonce="`)
	b.WriteString(nonce)
	b.WriteString(`", bodyhash="`)
	writeBase64(&b, hash)
	b.WriteString(`"`)
	return b.String(), nil
}

func writeBase64(b *strings.Builder, raw []byte) {
	var space [maxRSA/8*4/3 + 4]byte
	b.Write(base64.StdEncoding.AppendEncode(space[:0], raw))
}

// hostAndPort are those of the Host header as the server sees it. Where it has
// no port, vCenter takes 80 for it, over https as well (govmomi commit
// 384b1b95).
func hostAndPort(req *http.Request) (host, port string) {
	hostport := strings.ToLower(cmp.Or(req.Host, req.URL.Host))
	colon := strings.LastIndexByte(hostport, ':')
	if colon <= strings.LastIndexByte(hostport, ']') {
		host, _, zone := strings.Cut(hostport, "%")
		if zone {
			host += "]" // net/http sends no zone
		}
		return host, "80"
	}
	host, port = hostport[:colon], hostport[colon+1:]
	if address, _, zone := strings.Cut(host, "%"); zone {
		host = address + "]"
	}
	return host, cmp.Or(port, "80")
}

// pack makes the beginning of a header that carries an assertion. It is gzip at
// its best: servers bound the header.
func pack(assertion string) string {
	var b bytes.Buffer
	z := packers.Get().(*gzip.Writer)
	defer packers.Put(z)
	z.Reset(&b)
	_, _ = z.Write([]byte(assertion)) // to memory
	_ = z.Close()
	return `SIGN token="` + base64.StdEncoding.EncodeToString(b.Bytes()) + `"`
}

// packers are kept because one takes some 800 KiB of memory.
var packers = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestCompression) // the level is valid
	return z
}}

// nonces are the milliseconds of a clock that never shows the same time twice,
// each with a random number: servers compare the milliseconds alone.
type nonces struct{ last atomic.Int64 }

func (n *nonces) next(now time.Time) string {
	ms := now.UnixMilli()
	for {
		last := n.last.Load()
		ms = max(ms, last+1)
		if n.last.CompareAndSwap(last, ms) {
			break
		}
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	var space [40]byte
	b := append(strconv.AppendInt(space[:0], ms, 10), ':')
	return string(strconv.AppendUint(b, binary.BigEndian.Uint64(random[:])>>1, 10))
}
