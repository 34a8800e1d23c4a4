package vmssotest

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// grants are what a token service reads in its own tokens, beyond what everybody reads.
type grants struct {
	groups      []string
	delegates   []string // to whom it was passed on
	delegations int      // how often it may be passed on
	renewals    int      // how often it may be renewed
}

// verifyTarget checks the assertion inside RenewTarget or ActAs: issued and signed by this STS, and in its shape. Its period is the caller's matter.
func (s *STS) verifyTarget(el *etree.Element, now time.Time) (*token, error) {
	t, err := verifySigned(el, []*x509.Certificate{s.cfg.Authority.Certificate()}, now)
	if err != nil {
		return nil, err
	}
	return t, t.readGrants()
}

// readGrants reads the canonical bytes that the signature was found to cover.
func (t *token) readGrants() error {
	issuer, err := one(t.verified, nsSAML, "Issuer")
	if err != nil {
		return err
	}
	if name, err := text(issuer); err != nil || name != vCenterIssuer {
		return fmt.Errorf("assertion was issued by %q", name)
	}
	conditions, err := one(t.verified, nsSAML, "Conditions")
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, el := range conditions.ChildElements() {
		kind := conditionKind(el)
		if kind != "" && seen[kind] {
			return fmt.Errorf("assertion has two conditions of kind %s", kind)
		}
		seen[kind] = true
		if err := t.grants.readCondition(el, kind); err != nil {
			return err
		}
	}
	return t.grants.readGroups(t.verified)
}

// conditionKind names the conditions that only a token service minds; "" is any other.
func conditionKind(el *etree.Element) string {
	kind := ""
	if is(el, nsSAML, "Condition") {
		// Exclusive C14N leaves out the declaration of a prefix that only a value uses: of xsi:type no more than the local name is signed.
		kind, _ = attr(el, nsXSI, "type")
		kind = kind[strings.LastIndexByte(kind, ':')+1:]
	} else if is(el, nsSAML, proxyRestriction) {
		kind = proxyRestriction
	}
	switch kind {
	case proxyRestriction, renewRestriction, delegationRestriction:
		return kind
	}
	return ""
}

func (g *grants) readCondition(el *etree.Element, kind string) (err error) {
	switch kind {
	case proxyRestriction:
		g.delegations, err = count(el)
	case renewRestriction:
		g.renewals, err = count(el)
	case delegationRestriction:
		err = g.readDelegates(el)
	}
	return err
}

func count(el *etree.Element) (int, error) {
	s, _ := attr(el, "", "Count")
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%s has Count %q", el.Tag, s)
	}
	return int(n), nil
}

func (g *grants) readDelegates(el *etree.Element) error {
	for _, c := range el.ChildElements() {
		if !is(c, nsDel, "Delegate") {
			return fmt.Errorf("unexpected %s among the delegates", c.Tag)
		}
		id, err := one(c, nsSAML, "NameID")
		if err != nil {
			return err
		}
		name, err := text(id)
		if err != nil || name == "" {
			return errors.New("delegate without a name")
		}
		g.delegates = append(g.delegates, name)
	}
	return nil
}

func (g *grants) readGroups(assertion *etree.Element) error {
	for _, statement := range assertion.ChildElements() {
		if !is(statement, nsSAML, "AttributeStatement") {
			continue
		}
		for _, el := range statement.ChildElements() {
			if name, _ := attr(el, "", "Name"); !is(el, nsSAML, "Attribute") || name != groupsName {
				continue
			}
			for _, value := range el.ChildElements() {
				group, err := text(value)
				if err != nil {
					return err
				}
				g.groups = append(g.groups, group)
			}
		}
	}
	return nil
}

// audience returns the audiences of a token that has one AudienceRestriction at most: Claims cannot say more, and must not say less.
func (t *token) audience() ([]string, error) {
	switch {
	case len(t.audiences) == 0:
		return nil, nil
	case len(t.audiences) > 1 || len(t.audiences[0]) == 0:
		return nil, errors.New("assertion has two AudienceRestrictions, or an empty one")
	}
	return t.audiences[0], nil
}
