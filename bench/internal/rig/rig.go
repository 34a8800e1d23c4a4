// Package rig is what the benchmarks of this module and of bench/peers share:
// tokens and keys of realistic size, servers that cost nothing, and how two
// functions are compared.
package rig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	rand2 "math/rand/v2"
	"sync"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/vmssotest"
)

// Authority issues the assertions.
var Authority = sync.OnceValue(vmssotest.NewAuthority)

// Assertion is one of about so many bytes, filled with groups as a directory has
// them. Below 4 KB it is as long as it must be. A nil holder makes it a bearer's.
func Assertion(size int, holder *x509.Certificate) string {
	claims := vmssotest.Claims{Subject: "alice@vsphere.local", Holder: holder, Delegations: 10}
	const tags = len(`<saml2:AttributeValue xsi:type="xs:string"></saml2:AttributeValue>`)
	random := rand2.New(rand2.NewPCG(1, 2)) // the same groups in each run
	word := func(list ...string) string { return list[random.IntN(len(list))] }
	for length := len(Authority().Issue(claims)); length < size; {
		group := fmt.Sprintf(`%s\%s-%s-%s-%04d`, word("corp.example.com", "emea.corp.example.com", "vsphere.local"),
			word("sales", "finance", "engineering", "legal", "factory", "it", "hr", "lab"), word("berlin", "austin", "pune", "lyon", "osaka", "leeds"),
			word("admins", "operators", "viewers", "auditors", "backup", "network"), random.IntN(10_000))
		claims.Groups = append(claims.Groups, group)
		length += tags + len(group)
	}
	return Authority().Issue(claims)
}

// TokenSize is that of a vCenter's token for a user with some groups.
const TokenSize = 5600

// Token is a bearer token of that size.
var Token = sync.OnceValue(func() *vmsso.Token { return &vmsso.Token{Assertion: Assertion(TokenSize, nil)} })

// A KeyType is a type of keys.
type KeyType struct {
	Name string
	Hash crypto.Hash // that its signatures have
	Make func() crypto.Signer
}

// KeyTypes are those that the library takes, in the order of the tables.
func KeyTypes() []KeyType {
	return []KeyType{
		{"RSA-2048", crypto.SHA256, func() crypto.Signer { return RSAKey(2048) }},
		{"RSA-3072", crypto.SHA256, func() crypto.Signer { return RSAKey(3072) }},
		{"RSA-4096", crypto.SHA256, func() crypto.Signer { return RSAKey(4096) }},
		{"P-256", crypto.SHA256, func() crypto.Signer { return ecKey(elliptic.P256()) }},
		{"P-384", crypto.SHA384, func() crypto.Signer { return ecKey(elliptic.P384()) }},
	}
}

// Raw is the operation of the key alone.
func (k KeyType) Raw(key crypto.Signer) func() error {
	digest := make([]byte, k.Hash.Size())
	return func() error {
		_, err := key.Sign(rand.Reader, digest, k.Hash)
		return err
	}
}

// RSAKey makes a key.
func RSAKey(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

func ecKey(curve elliptic.Curve) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// The bodies of messages, as the library makes them.
const (
	LoginByToken = `<LoginByToken xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this></LoginByToken>`

	Issue = `<wst:RequestSecurityToken xmlns:wst="http://docs.oasis-open.org/ws-sx/ws-trust/200512">` +
		`<wst:TokenType>urn:oasis:names:tc:SAML:2.0:assertion</wst:TokenType>` +
		`<wst:RequestType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue</wst:RequestType>` +
		`<wst:Lifetime><wsu:Created>2026-11-22T08:00:00.000Z</wsu:Created><wsu:Expires>2026-11-22T09:00:00.000Z</wsu:Expires></wst:Lifetime>` +
		`<wst:Renewing Allow="false" OK="false"></wst:Renewing><wst:Delegatable>true</wst:Delegatable>` +
		`<wst:KeyType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/PublicKey</wst:KeyType>` +
		`<wst:SignatureAlgorithm>http://www.w3.org/2001/04/xmldsig-more#rsa-sha256</wst:SignatureAlgorithm>` +
		`<wst:UseKey Sig="_0123456789abcdef0123456789abcdef"></wst:UseKey></wst:RequestSecurityToken>`

	CreateSession = `{"id":"1","jsonrpc":"2.0","method":"invoke","params":{"ctx":{"appCtx":{"opId":"1d0f4a05-6a1b-4c3e-9d6f-0a6e7e1f2c3d"}},` +
		`"input":{"STRUCTURE":{"operation-input":{}}},"operationId":"create","serviceId":"com.vmware.cis.session"}}`
)
