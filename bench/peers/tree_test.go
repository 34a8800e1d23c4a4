package peers_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math/big"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/bench/internal/rig"
)

// The namespaces of treeMessage.
const (
	soapNS = "http://schemas.xmlsoap.org/soap/envelope/"
	wsse   = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	wsse11 = "http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd"
	wsu    = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
	ds     = "http://www.w3.org/2000/09/xmldsig#"
	excC14 = "http://www.w3.org/2001/10/xml-exc-c14n#"
	more   = "http://www.w3.org/2001/04/xmldsig-more#"
	profil = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#"
)

// treeMessage makes the message as one does with etree and goxmldsig: as a tree
// with the token in it, whose signed parts goxmldsig canonicalizes.
func treeMessage(tok *vmsso.Token, now time.Time) ([]byte, error) {
	doc := etree.NewDocument()
	e := doc.CreateElement("soap:Envelope")
	e.CreateAttr("xmlns:soap", soapNS)
	security := e.CreateElement("soap:Header").CreateElement("wsse:Security")
	security.CreateAttr("xmlns:wsse", wsse)
	security.CreateAttr("xmlns:wsu", wsu)
	timestamp := security.CreateElement("wsu:Timestamp")
	timestamp.CreateAttr("wsu:Id", newID())
	timestamp.CreateElement("wsu:Created").SetText(now.UTC().Format("2006-01-02T15:04:05.000Z"))
	timestamp.CreateElement("wsu:Expires").SetText(now.UTC().Add(10 * time.Minute).Format("2006-01-02T15:04:05.000Z"))
	token := etree.NewDocument()
	if err := token.ReadFromString(tok.Assertion); err != nil {
		return nil, err
	}
	security.AddChild(token.Root())
	body := e.CreateElement("soap:Body")
	body.CreateAttr("xmlns:wsu", wsu)
	body.CreateAttr("wsu:Id", newID())
	content := etree.NewDocument()
	if err := content.ReadFromString(rig.LoginByToken); err != nil {
		return nil, err
	}
	body.AddChild(content.Root())
	if err := addSignature(security, tok.Key, timestamp, body); err != nil {
		return nil, err
	}
	return doc.WriteToBytes()
}

// addSignature adds the Signature of the parts by the key of the token beside it, RSA
// or P-256.
func addSignature(security *etree.Element, key crypto.Signer, parts ...*etree.Element) error {
	id := security.FindElement("./Assertion").SelectAttrValue("ID", "")
	signature := security.CreateElement("ds:Signature")
	signature.CreateAttr("xmlns:ds", ds)
	info := signature.CreateElement("ds:SignedInfo")
	info.CreateElement("ds:CanonicalizationMethod").CreateAttr("Algorithm", excC14)
	method := "rsa-sha256"
	if _, ok := key.(*rsa.PrivateKey); !ok {
		method = "ecdsa-sha256"
	}
	info.CreateElement("ds:SignatureMethod").CreateAttr("Algorithm", more+method)
	for _, p := range parts {
		text, err := canonical(p)
		if err != nil {
			return err
		}
		digest := sha256.Sum256(text)
		ref := info.CreateElement("ds:Reference")
		ref.CreateAttr("URI", "#"+p.SelectAttrValue("wsu:Id", ""))
		ref.CreateElement("ds:Transforms").CreateElement("ds:Transform").CreateAttr("Algorithm", excC14)
		ref.CreateElement("ds:DigestMethod").CreateAttr("Algorithm", "http://www.w3.org/2001/04/xmlenc#sha256")
		ref.CreateElement("ds:DigestValue").SetText(base64.StdEncoding.EncodeToString(digest[:]))
	}
	text, err := canonical(info)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(text)
	value, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return err
	}
	if _, ok := key.(*rsa.PrivateKey); !ok {
		if value, err = fixedWidth(value); err != nil {
			return err
		}
	}
	signature.CreateElement("ds:SignatureValue").SetText(base64.StdEncoding.EncodeToString(value))
	reference := signature.CreateElement("ds:KeyInfo").CreateElement("wsse:SecurityTokenReference")
	reference.CreateAttr("xmlns:wsse11", wsse11)
	reference.CreateAttr("wsse11:TokenType", profil+"SAMLV2.0")
	identifier := reference.CreateElement("wsse:KeyIdentifier")
	identifier.CreateAttr("ValueType", profil+"SAMLID")
	identifier.SetText(id)
	return nil
}

// canonical is the exclusive canonical form of an element, which goxmldsig makes
// of a copy: it works in place.
func canonical(e *etree.Element) ([]byte, error) {
	ctx, err := etreeutils.NSBuildParentContext(e)
	if err != nil {
		return nil, err
	}
	detached, err := etreeutils.NSDetatch(ctx, e)
	if err != nil {
		return nil, err
	}
	return dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("").Canonicalize(detached)
}

// fixedWidth turns the ASN.1 of a P-256 signature into r||s.
func fixedWidth(sig []byte) ([]byte, error) {
	var rs struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(sig, &rs); err != nil || len(rest) > 0 {
		return nil, errors.New("no ECDSA signature")
	}
	out := make([]byte, 64)
	rs.R.FillBytes(out[:32])
	rs.S.FillBytes(out[32:])
	return out, nil
}

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return "_" + hex.EncodeToString(b[:])
}
