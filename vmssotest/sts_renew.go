package vmssotest

import (
	"slices"
	"time"
)

// renew makes a new token from the one in RenewTarget, for the holder of its key only.
func (s *STS) renew(rst *request, p *proof, now time.Time) (Issued, error) {
	t, err := s.verifyTarget(rst.target, now)
	if err != nil {
		return Issued{}, refuse(invalidSecurity, "RenewTarget: %v", err)
	}
	if t.expired(now, s.cfg.Tolerance) {
		return Issued{}, refuse(expiredData, "the token to renew has expired at %s", stamp(t.notOnOrAfter))
	}
	if err := t.checkPeriod(now, s.cfg.Tolerance); err != nil {
		return Issued{}, refuse(invalidRequest, "RenewTarget: %v", err)
	}
	if err := s.checkHolder(t, p, now); err != nil {
		return Issued{}, err
	}
	if t.renewals == 0 {
		return Issued{}, refuse(requestFailed, "the token is not renewable, or not any more")
	}
	audience, err := t.audience()
	if err != nil {
		return Issued{}, refuse(invalidRequest, "RenewTarget: %v", err)
	}
	issued := Issued{Renewed: t.id, Renewable: true, Delegatable: t.delegations > 0, WishedExpiry: rst.expires}
	issued.Claims = Claims{
		Subject: t.subject, Holder: t.holder, Audiences: audience, Groups: t.groups,
		Delegates: t.delegates, Delegations: t.delegations, Renewals: t.renewals - 1,
	}
	return issued, s.setPeriod(&issued.Claims, rst, now)
}

// checkHolder demands that the message was signed with the key of the token that is to be renewed.
func (s *STS) checkHolder(t *token, p *proof, now time.Time) error {
	switch {
	case t.holder == nil:
		return refuse(invalidRequest, "a bearer token is not renewed")
	case p.user != nil:
		return refuse(invalidSecurity, "a password in a Renew")
	case !t.holder.Equal(p.cert):
		s.failures.Add(1)
		return refuse(failedAuthentication, "the message is not signed by the holder of the token to renew")
	}
	return s.checkCertificate(p, now)
}

// actAs makes a token for the subject of another one, which a solution user holds.
func (s *STS) actAs(rst *request, p *proof, requester string, now time.Time) (Issued, error) {
	if p.token != nil && len(p.token.delegates) > 0 {
		return Issued{}, refuse(invalidRequest, "a delegate of %s cannot act for others", requester)
	}
	if _, ok := s.cfg.SolutionUsers[requester]; !ok {
		return Issued{}, refuse(invalidRequest, "%s is no solution user and cannot act for others", requester)
	}
	t, err := s.verifyTarget(rst.target, now)
	if err == nil {
		err = t.checkPeriod(now, s.cfg.Tolerance)
	}
	if err != nil {
		return Issued{}, refuse(invalidRequest, "ActAs: %v", err)
	}
	if t.delegations == 0 {
		return Issued{}, refuse(invalidRequest, "the token to act for is not delegatable, or not any more")
	}
	issued, err := s.claims(rst, t.subject, p.cert, now)
	if err != nil {
		return issued, err
	}
	t.delegations--
	t.delegates = append(slices.Clip(t.delegates), requester)
	issued.ActAs = t.id
	return issued, inherit(&issued.Claims, t)
}

// inherit bounds a token that somebody else than its subject asked for by the token that it is made from.
func inherit(c *Claims, from *token) error {
	c.Groups, c.Delegates = from.groups, from.delegates
	c.Delegations, c.Renewals = min(c.Delegations, from.delegations), min(c.Renewals, from.renewals)
	if c.NotOnOrAfter.After(from.notOnOrAfter) {
		c.NotOnOrAfter = from.notOnOrAfter
	}
	if !c.NotBefore.Before(c.NotOnOrAfter) {
		return refuse(invalidTimeRange, "the token that this one is made from ends at %s", stamp(from.notOnOrAfter))
	}
	return nil
}
