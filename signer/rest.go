package signer

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net"
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
// otherwise; the query is not signed. Holder-of-key needs an RSA key.
//
// Each value can be used once: servers refuse a nonce that is not newer than
// the one before.
func (s *Signer) AutomationHeader(req *http.Request, body []byte) (string, error) {
	return s.automationHeader(req, body, s.nonces.next(time.Now()))
}

func (s *Signer) automationHeader(req *http.Request, body []byte, nonce string) (string, error) {
	if s.packed == nil {
		return "", fmt.Errorf("%w: only a token can log in to vSphere Automation", vmsso.ErrUnsupportedToken)
	}
	if s.key == nil {
		return s.packed(), nil
	}
	if s.key.alg.size > 0 {
		return "", fmt.Errorf("%w: vSphere Automation takes RSA keys only over REST", vmsso.ErrUnsupportedKey)
	}
	hash := sha256.Sum256(body)
	host, port := hostAndPort(req)
	var b bytes.Buffer
	for _, line := range []string{nonce, cmp.Or(strings.ToUpper(req.Method), http.MethodGet), req.URL.Path, host, port, string(hash[:])} {
		b.WriteString(line + "\n")
	}
	signature, err := s.key.sign(b.Bytes())
	if err != nil {
		return "", err
	}
	b64 := base64.StdEncoding.EncodeToString
	return s.packed() + `, signature_alg="RSA-SHA256", signature="` + b64(signature) + `", nonce="` + nonce + `", bodyhash="` + b64(hash[:]) + `"`, nil
}

// hostAndPort are those of the Host header as the server sees it. Where it has
// no port, vCenter takes 80 for it, over https as well (govmomi commit
// 384b1b95).
func hostAndPort(req *http.Request) (host, port string) {
	hostport := strings.ToLower(cmp.Or(req.Host, req.URL.Host))
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		host, _, zone := strings.Cut(hostport, "%")
		if zone {
			host += "]"
		}
		return host, "80"
	}
	if address, _, _ := strings.Cut(host, "%"); strings.Contains(address, ":") {
		host = "[" + address + "]" // net/http sends no zone
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
	return strconv.FormatInt(ms, 10) + ":" + strconv.FormatUint(binary.BigEndian.Uint64(random[:])>>1, 10)
}
