package interop_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
)

// REST of vcsim is that of a server before vCenter 7.0 U2: it has no
// /api/session. A login is any Authorization header that begins with "SIGN ":
// neither token nor signature is looked at. Of sessions it is strict: each
// request must have the id of one that was made and not deleted; the answer to
// others is 401 without a body. There are tags, but no list of VMs.

func TestInteropRESTLogsInAtTheOlderPath(t *testing.T) {
	for name, tok := range kinds() {
		t.Run(name, func(t *testing.T) {
			v := newVcsim(t)
			client, _, rec := v.login(t, automation.REST, tok)
			want, err := newTag(t, restClient(t, v, client.Transport), "blue")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := v.listTags(t, client); err != nil || !slices.Equal(got, []string{want}) {
				t.Errorf("got the tags %v, %v; want %s", got, err, want)
			}
			for what, want := range map[string]int{"POST /api/session 404": 1, byREST: 1, byRPC: 0} {
				if got := rec.count(what); got != want {
					t.Errorf("%s: %d times, want %d", what, got, want)
				}
			}
		})
	}
}

// TestInteropRESTSessionEnds: vcsim forgets the session, and the callers do not
// notice.
func TestInteropRESTSessionEnds(t *testing.T) {
	for name, tok := range kinds() {
		t.Run(name, func(t *testing.T) {
			v := newVcsim(t)
			client, transport, rec := v.login(t, automation.REST, tok)
			for _, tt := range []struct {
				name string
				call func() error
			}{
				{"one caller", func() error {
					_, err := v.listTags(t, client)
					return err
				}},
				{"many callers", func() error {
					return atOnce(func() error {
						_, err := v.listTags(t, client)
						return err
					})
				}},
				{"a request with a body", func() error {
					id, err := newTag(t, restClient(t, v, client.Transport), "green")
					if err != nil {
						return err
					}
					if got, err := v.listTags(t, client); err != nil || !slices.Equal(got, []string{id}) {
						return fmt.Errorf("afterwards the tags are %v, %v; want %s once", got, err, id)
					}
					return nil
				}},
			} {
				v.endSession(t, transport)
				before := rec.count(byREST)
				if err := tt.call(); err != nil {
					t.Errorf("%s: %v", tt.name, err)
				}
				if got := rec.count(byREST) - before; got != 1 {
					t.Errorf("%s: %d logins after the end of the session, want 1", tt.name, got)
				}
			}
		})
	}
}

func TestInteropRESTCloseEndsTheSession(t *testing.T) {
	v := newVcsim(t)
	for _, tt := range []struct {
		name  string
		ended bool // by somebody else
		want  string
	}{
		{"a session that is alive", false, "DELETE " + sessionPath + " 200"},
		{"a session that is gone", true, "DELETE " + sessionPath + " 401"},
	} {
		_, transport, rec := v.login(t, automation.REST, kinds()["bearer"])
		id := sessionID(t, transport)
		if got := v.status(t, http.MethodGet, tagPath, id); got != http.StatusOK {
			t.Errorf("%s: status %d before Close, want 200", tt.name, got)
		}
		if tt.ended {
			v.endSession(t, transport)
		}
		if err := transport.Close(); err != nil || rec.count(tt.want) != 1 {
			t.Errorf("%s: Close: %v, and %d times %s, want once", tt.name, err, rec.count(tt.want), tt.want)
		}
		if got := v.status(t, http.MethodGet, tagPath, id); got != http.StatusUnauthorized {
			t.Errorf("%s: status %d after Close, want 401", tt.name, got)
		}
	}
}

// TestInteropGovmomiRESTClient: what govmomi itself does with sessions, above
// our transport.
func TestInteropGovmomiRESTClient(t *testing.T) {
	v := newVcsim(t)
	client, transport, rec := v.login(t, automation.REST, kinds()["holder-of-key"])
	govmomi := restClient(t, v, client.Transport)
	if s, err := govmomi.Session(t.Context()); err != nil || s == nil {
		t.Errorf("Session: %v, %v; want one, by our login", s, err)
	}
	if err := govmomi.Login(t.Context(), url.UserPassword("user", "pass")); !errors.Is(err, vmsso.ErrOwnLogin) {
		t.Errorf("Login: got %v, want vmsso.ErrOwnLogin", err)
	}
	if err := govmomi.LoginByToken(t.Context()); !errors.Is(err, vmsso.ErrOwnLogin) {
		t.Errorf("LoginByToken: got %v, want vmsso.ErrOwnLogin", err)
	}
	govmomi.SessionID("an id of its own") // as one that was saved by an earlier run
	if _, err := tags.NewManager(govmomi).ListTags(t.Context()); err != nil {
		t.Errorf("with an id of its own: %v, want that ours replaces it", err)
	}
	id := sessionID(t, transport)
	if err := govmomi.Logout(t.Context()); err != nil {
		t.Errorf("Logout: %v", err)
	}
	if got := v.status(t, http.MethodGet, tagPath, id); got != http.StatusUnauthorized {
		t.Errorf("after Logout: status %d, want 401", got)
	}
	if _, err := tags.NewManager(govmomi).ListTags(t.Context()); err != nil || rec.count(byREST) != 2 {
		t.Errorf("after Logout: %v, %d logins, want another one", err, rec.count(byREST))
	}
	if got := rec.count("GET " + tagPath + " 401"); got != 0 {
		t.Errorf("after Logout: %d requests in the old session, want none", got)
	}
}

// restClient returns govmomi's client for REST above our transport. Its package
// rest makes an http.Client of its own, so the transport is set on that.
func restClient(t *testing.T, v *vcsim, transport http.RoundTripper) *rest.Client {
	t.Helper()
	u, err := url.Parse(v.url)
	if err != nil {
		t.Fatal(err)
	}
	client := rest.NewClient(&vim25.Client{Client: soap.NewClient(u, false)})
	client.Transport = transport
	return client
}

// newTag makes a tag, and a category for it.
func newTag(t *testing.T, client *rest.Client, name string) (id string, err error) {
	manager := tags.NewManager(client)
	category, err := manager.CreateCategory(t.Context(), &tags.Category{Name: "kind of " + name, Cardinality: "SINGLE"})
	if err != nil {
		return "", err
	}
	return manager.CreateTag(t.Context(), &tags.Tag{Name: name, CategoryID: category})
}
