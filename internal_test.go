package vmsso

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
)

// logouts is an Authenticator that counts them.
type logouts struct {
	Authenticator
	n int
}

func (l *logouts) Logout(context.Context, http.RoundTripper, *url.URL, *Session) error {
	l.n++
	return nil
}

type noSource struct{ TokenSource }

// TestSessionThatComesRightAfterCloseIsLoggedOut: Close came between the end of
// the login and the moment that its session would be everybody's.
func TestSessionThatComesRightAfterCloseIsLoggedOut(t *testing.T) {
	auth := &logouts{}
	tr, err := New(Config{Endpoint: "https://vc.example.test", Source: noSource{}, Auth: auth})
	if err != nil {
		t.Fatal(err)
	}
	tr.Close()
	if err := tr.publish(&Session{}, 0); !errors.Is(err, ErrClosed) || auth.n != 1 || tr.session.Load() != nil {
		t.Errorf("got %v, %d logouts, session %v, want ErrClosed, one and none", err, auth.n, tr.session.Load())
	}
}
