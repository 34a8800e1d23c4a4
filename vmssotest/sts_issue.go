package vmssotest

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"time"
)

// issue verifies one request and issues the token: timestamp, message signature, what is asked for, credentials, in this order.
func (s *STS) issue(action string, raw []byte) (answer string, err error) {
	now := s.cfg.Now()
	e, err := openEnvelope(raw)
	if err != nil {
		return "", err
	}
	if err := e.checkTime(now, s.cfg.Tolerance); err != nil {
		return "", err
	}
	if action != issueAction {
		return "", refuse(invalidRequest, "SOAPAction %q is not known", action)
	}
	p, err := s.prove(e, now)
	if err != nil {
		return "", refuse(invalidSecurity, "%v", err)
	}
	rst, err := readRequest(e.body)
	if err != nil {
		return "", refuse(invalidRequest, "%v", err)
	}
	if err := rst.checkKey(p.cert != nil, p.signatureID); err != nil {
		return "", refuse(invalidRequest, "%v", err)
	}
	subject, err := s.authenticate(p, now)
	if err != nil {
		return "", err
	}
	token, err := s.claims(rst, subject, p.cert, now)
	if err != nil {
		return "", err
	}
	issued := Issued{
		Claims: token, Assertion: s.cfg.Authority.Issue(token), Renewable: rst.renewable, Delegatable: rst.delegatable,
		WishedExpiry: rst.expires, Message: raw,
	}
	s.issued.Add(1)
	if s.cfg.OnIssue != nil {
		s.cfg.OnIssue(issued)
	}
	return rst.answer(issued), nil
}

// authenticate decides who asks: the subject of the token, or the user, or the solution user of the certificate.
func (s *STS) authenticate(p *proof, now time.Time) (subject string, err error) {
	if p.token != nil {
		return p.token.subject, nil
	}
	if p.user == nil && p.cert == nil {
		return "", refuse(invalidSecurity, "no credentials")
	}
	if p.cert != nil && (now.Before(p.cert.NotBefore) || now.After(p.cert.NotAfter)) {
		s.failures.Add(1)
		return "", refuse(failedAuthentication, "certificate is not valid at %s", stamp(now))
	}
	if p.user != nil {
		return p.user.name, s.checkPassword(p.user, now)
	}
	for name, registered := range s.cfg.SolutionUsers {
		if registered.Equal(p.cert) {
			return name, nil
		}
	}
	s.failures.Add(1)
	return "", refuse(failedAuthentication, "certificate of %s is not registered", p.cert.Subject)
}

func (s *STS) checkPassword(user *credentials, now time.Time) error {
	want, known := s.cfg.Users[user.name]
	if known && s.lockout.locked(user.name, now) {
		return &refusal{code: failedAuthentication, reason: "user " + user.name + " is locked",
			tell: "User account locked: {Name: " + user.name + "}"}
	}
	a, b := sha256.Sum256([]byte(want)), sha256.Sum256([]byte(user.password))
	if subtle.ConstantTimeCompare(a[:], b[:]) == 1 && known {
		s.lockout.forget(user.name)
		return nil
	}
	s.failures.Add(1)
	if known {
		s.lockout.failed(user.name, now)
	}
	return refuse(failedAuthentication, "wrong password of, or unknown user %q", user.name)
}

// claims decides what the token says; the life that is asked for is cut to the maximum of its kind.
func (s *STS) claims(rst *request, subject string, cert *x509.Certificate, now time.Time) (Claims, error) {
	longest := s.cfg.MaxBearer
	if cert != nil {
		longest = s.cfg.MaxHolderOfKey
	}
	c := Claims{Subject: subject, Holder: cert, Audiences: rst.audiences, NotBefore: now, Groups: []string{`vsphere.local\Everyone`}}
	if rst.expires.IsZero() {
		c.NotOnOrAfter = now.Add(min(longest, 5*time.Minute))
	} else {
		c.NotBefore, c.NotOnOrAfter = rst.created, rst.expires
		if !rst.created.Before(rst.expires) || !now.Before(rst.expires) || rst.created.After(now.Add(s.cfg.Tolerance)) {
			return c, refuse(invalidTimeRange, "Lifetime %s to %s at %s", stamp(rst.created), stamp(rst.expires), stamp(now))
		}
	}
	if limit := c.NotBefore.Add(longest); c.NotOnOrAfter.After(limit) {
		c.NotOnOrAfter = limit
	}
	if rst.delegatable {
		c.Delegations = 10
	}
	if rst.renewable {
		c.Renewals = 10
	}
	return c, nil
}
