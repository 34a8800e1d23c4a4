package vmssotest

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"strings"
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
	if action != issueAction && action != renewAction {
		return "", refuse(invalidRequest, "SOAPAction %q is not known", action)
	}
	p, err := s.prove(e, now)
	if err != nil {
		return "", refuse(invalidSecurity, "%v", err)
	}
	rst, err := readRequest(e.body, strings.Replace(action, "/RST/", "/", 1))
	if err != nil {
		return "", refuse(invalidRequest, "%v", err)
	}
	if err := e.loneAssertion(e.root, e.assertion, rst.target); err != nil {
		return "", err
	}
	if rst.target != nil && p.cert == nil {
		return "", refuse(invalidSecurity, "a token to renew or to act for in a message that is not signed")
	}
	if err := rst.checkKey(p.cert != nil, p.signatureID); err != nil {
		return "", refuse(invalidRequest, "%v", err)
	}
	issued, err := s.grant(rst, p, now)
	if err != nil {
		return "", err
	}
	issued.ID = newID()
	issued.Assertion, issued.Message = s.cfg.Authority.Issue(issued.Claims), raw
	s.note(issued)
	return rst.answer(issued), nil
}

// grant decides who asks and what the token says.
func (s *STS) grant(rst *request, p *proof, now time.Time) (Issued, error) {
	if rst.requestType == renewRequest {
		return s.renew(rst, p, now)
	}
	subject, err := s.authenticate(p, now)
	if err != nil {
		return Issued{}, err
	}
	if rst.target != nil {
		return s.actAs(rst, p, subject, now)
	}
	issued, err := s.claims(rst, subject, p.cert, now)
	if err == nil && p.token != nil && len(p.token.delegates) > 0 {
		err = inherit(&issued.Claims, p.token)
	}
	return issued, err
}

func (s *STS) note(t Issued) {
	s.issued.Add(1)
	if t.Renewed != "" {
		s.renewed.Add(1)
	}
	if s.cfg.OnIssue != nil {
		s.cfg.OnIssue(t)
	}
}

// authenticate decides who asks: the subject of the token, or the user, or the solution user of the certificate.
func (s *STS) authenticate(p *proof, now time.Time) (subject string, err error) {
	if p.token != nil {
		return p.token.subject, nil
	}
	if p.user == nil && p.cert == nil {
		return "", refuse(invalidSecurity, "no credentials")
	}
	if err := s.checkCertificate(p, now); err != nil {
		return "", err
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

func (s *STS) checkCertificate(p *proof, now time.Time) error {
	if p.cert == nil || !now.Before(p.cert.NotBefore) && !now.After(p.cert.NotAfter) {
		return nil
	}
	s.failures.Add(1)
	return refuse(failedAuthentication, "certificate is not valid at %s", stamp(now))
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

// claims decides what the token says if it is not made from another one.
func (s *STS) claims(rst *request, subject string, cert *x509.Certificate, now time.Time) (Issued, error) {
	t := Issued{Renewable: rst.renewable, Delegatable: rst.delegatable, WishedExpiry: rst.expires}
	t.Subject, t.Holder, t.Audiences, t.Groups = subject, cert, rst.audiences, []string{`vsphere.local\Everyone`}
	if rst.delegatable {
		t.Delegations = 10
	}
	if rst.renewable {
		t.Renewals = s.cfg.MaxRenewals
	}
	return t, s.setPeriod(&t.Claims, rst, now)
}

// setPeriod cuts the life that is asked for to the maximum of its kind.
func (s *STS) setPeriod(c *Claims, rst *request, now time.Time) error {
	longest := s.cfg.MaxBearer
	if c.Holder != nil {
		longest = s.cfg.MaxHolderOfKey
	}
	if rst.expires.IsZero() {
		c.NotBefore, c.NotOnOrAfter = now, now.Add(min(longest, 5*time.Minute))
		return nil
	}
	if !rst.created.Before(rst.expires) || !now.Before(rst.expires) || rst.created.After(now.Add(s.cfg.Tolerance)) {
		return refuse(invalidTimeRange, "Lifetime %s to %s at %s", stamp(rst.created), stamp(rst.expires), stamp(now))
	}
	c.NotBefore, c.NotOnOrAfter = rst.created, rst.expires
	if limit := c.NotBefore.Add(longest); c.NotOnOrAfter.After(limit) {
		c.NotOnOrAfter = limit
	}
	return nil
}
