package vmssotest

// Namespaces and identifiers of the messages, spelled as the specifications do.
const (
	nsXML    = "http://www.w3.org/XML/1998/namespace"
	nsXMLNS  = "http://www.w3.org/2000/xmlns/"
	nsXSI    = "http://www.w3.org/2001/XMLSchema-instance"
	nsSOAP   = "http://schemas.xmlsoap.org/soap/envelope/"
	nsWSSE   = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	nsWSSE11 = "http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd"
	nsWSU    = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
	nsDS     = "http://www.w3.org/2000/09/xmldsig#"
	nsExcC14 = "http://www.w3.org/2001/10/xml-exc-c14n#"
	nsSAML   = "urn:oasis:names:tc:SAML:2.0:assertion"
	nsVim    = "urn:vim25"
	nsWST    = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
	nsWST14  = "http://docs.oasis-open.org/ws-sx/ws-trust/200802"
	nsWSA    = "http://www.w3.org/2005/08/addressing"
	nsDel    = "urn:oasis:names:tc:SAML:2.0:conditions:delegation"
	nsRSA    = "http://www.rsa.com/names/2009/12/std-ext/SAML2.0"

	excC14N   = nsExcC14
	enveloped = nsDS + "enveloped-signature"

	bearerMethod      = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
	holderOfKeyMethod = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"

	samlProfile    = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#"
	samlTokenType  = samlProfile + "SAMLV2.0"
	samlIDType     = samlProfile + "SAMLID"
	x509v3Type     = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3"
	base64Encoding = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
	passwordText   = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"

	saml2TokenType = nsSAML
	issueRequest   = nsWST + "/Issue"
	renewRequest   = nsWST + "/Renew"
	issueAction    = nsWST + "/RST/Issue"
	renewAction    = nsWST + "/RST/Renew"
	bearerKey      = nsWST + "/Bearer"
	publicKey      = nsWST + "/PublicKey"
)

// What a vCenter's assertions say.
const (
	vCenterIssuer = "https://vc.example.test/websso/SAML2/Metadata/vsphere.local"
	groupsName    = "http://rsa.com/schemas/attr-names/2009/01/GroupIdentity"
	upnFormat     = "http://schemas.xmlsoap.org/claims/UPN"

	proxyRestriction      = "ProxyRestriction"
	renewRestriction      = "RenewRestrictionType"
	delegationRestriction = "DelegationRestrictionType"
)

// timeLayout is how vCenter writes times: UTC, milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

// maxMessage bounds the body of a SOAP request.
const maxMessage = 4 << 20
