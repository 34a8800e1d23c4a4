package tokensource_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// A rotating password is what Credentials returns.
type rotating struct{ password atomic.Value }

func (r *rotating) credentials(context.Context) (signer.Credentials, error) {
	return signer.Credentials{Username: user, Password: r.password.Load().(string)}, nil
}

func rotatingSource(t *testing.T, l *stsLab, password string) (*tokensource.STS, *rotating) {
	t.Helper()
	r := &rotating{}
	r.password.Store(password)
	return l.source(t, tokensource.STSConfig{Credentials: r.credentials}), r
}

// bubble runs a test in the time of testing/synctest, with a token service. The
// keys are made before: they would take up its time.
func bubble(t *testing.T, f func(t *testing.T, l *stsLab)) {
	t.Helper()
	authority, pair := vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil)
	synctest.Test(t, func(t *testing.T) { f(t, newSTSLab(t, authority, pair)) })
}

// A thousand goroutines have a wrong password and ask for an hour. The account is
// never locked, and the right password gets a token at once.
func TestThousandCallersDoNotLockAnAccountInAnHour(t *testing.T) {
	bubble(t, func(t *testing.T, l *stsLab) {
		var asked []time.Time
		l.sts.Inject("Issue", -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			asked = append(asked, time.Now())
			next.ServeHTTP(w, r)
			if l.sts.Locked(user) {
				t.Errorf("locked after %d attempts", len(asked))
			}
		})
		s, r := rotatingSource(t, l, "wr0ng-s3cr3t")
		start := time.Now()
		var callers sync.WaitGroup
		for i := range 1000 {
			callers.Go(func() {
				for time.Since(start) < time.Hour {
					if _, err := s.Token(t.Context()); !errors.Is(err, vmsso.ErrRejected) {
						t.Errorf("got %v, want ErrRejected", err)
						return
					}
					time.Sleep(time.Duration(20+i%41) * time.Second)
				}
			})
		}
		callers.Wait()
		for i, first := range asked {
			n := len(slices.DeleteFunc(slices.Clone(asked[i:]), func(at time.Time) bool { return at.Sub(first) > 3*time.Minute }))
			if n > 2 {
				t.Errorf("%d attempts within 3 minutes of %v, want 2 at most", n, first.Sub(start))
			}
		}
		if n := l.sts.Failures(); n != len(asked) || n < 15 || n > 20 {
			t.Errorf("%d failures by %d attempts in an hour, want one in 3 minutes", n, len(asked))
		}
		r.password.Store(password)
		for range 1000 {
			callers.Go(func() {
				if _, err := s.Token(t.Context()); err != nil {
					t.Errorf("the right password: %v", err)
				}
			})
		}
		callers.Wait()
		if l.sts.Issued() == 0 || l.sts.Issued() != l.sts.Requests()-l.sts.Failures() {
			t.Errorf("%d tokens, %d failures, %d requests", l.sts.Issued(), l.sts.Failures(), l.sts.Requests())
		}
	})
}

// gate holds the answers of the token service back until it is opened.
func gate(l *stsLab, n int) (open func()) {
	opened := make(chan struct{})
	l.sts.Inject("Issue", n, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		select {
		case <-opened:
			next.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
	return func() { close(opened) }
}

// Those who ask while the first answer is on its way share it, be it a token or a
// refusal: before it is there nobody knows that the password is wrong.
func TestSamePasswordIsNeverUnderWayTwice(t *testing.T) {
	for name, tc := range map[string]struct {
		password string
		want     error
	}{
		"right": {password, nil},
		"wrong": {"wr0ng-s3cr3t", vmsso.ErrRejected},
	} {
		bubble(t, func(t *testing.T, l *stsLab) {
			open := gate(l, -1)
			s, _ := rotatingSource(t, l, tc.password)
			var callers sync.WaitGroup
			var got sync.Map
			for range 1000 {
				callers.Go(func() {
					tok, err := s.Token(t.Context())
					if !errors.Is(err, tc.want) {
						t.Errorf("%s: got %v, want %v", name, err, tc.want)
					}
					got.Store(tok, true)
				})
			}
			synctest.Wait()
			if n := l.sts.Requests(); n != 1 {
				t.Errorf("%s: %d requests under way, want 1", name, n)
			}
			open()
			callers.Wait()
			if n := l.sts.Requests(); n != 1 {
				t.Errorf("%s: %d requests, want 1", name, n)
			}
			if tc.want == nil {
				if again, err := s.Token(t.Context()); err != nil || l.sts.Issued() != 2 {
					t.Errorf("%s: %v, %v, want a new token for who asks later", name, again, err)
				}
			}
		})
	}
}

// Whoever waits leaves when its context ends; whoever asked first may leave too,
// and somebody else asks then.
func TestCallersLeaveOneByOne(t *testing.T) {
	bubble(t, func(t *testing.T, l *stsLab) {
		open := gate(l, -1)
		s, _ := rotatingSource(t, l, password)
		gone := errors.New("gone")
		leader, leave := context.WithCancelCause(t.Context())
		results := make(chan error, 3)
		ask := func(ctx context.Context) {
			go func() {
				_, err := s.Token(ctx)
				results <- err
			}()
			synctest.Wait()
		}
		ask(leader)
		waiter, cancel := context.WithTimeoutCause(t.Context(), time.Second, gone)
		defer cancel()
		ask(waiter)
		ask(t.Context())
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if err := <-results; !errors.Is(err, gone) || l.sts.Requests() != 1 {
			t.Errorf("the one with a second left with %v after %d requests, want its cause and 1", err, l.sts.Requests())
		}
		leave(gone)
		if err := <-results; err == nil {
			t.Error("the one who left has a token")
		}
		synctest.Wait()
		if n := l.sts.Requests(); n != 2 {
			t.Errorf("%d requests, want that of the last one too", n)
		}
		open()
		if err := <-results; err != nil {
			t.Errorf("the last one: %v", err)
		}
	})
}

// What one credential waits for does not delay another.
func TestOtherPasswordDoesNotWait(t *testing.T) {
	bubble(t, func(t *testing.T, l *stsLab) {
		open := gate(l, 1)
		s, r := rotatingSource(t, l, "wr0ng-s3cr3t")
		refused := make(chan error)
		go func() {
			_, err := s.Token(t.Context())
			refused <- err
		}()
		synctest.Wait()
		r.password.Store(password)
		if _, err := s.Token(t.Context()); err != nil {
			t.Errorf("the other password: %v", err)
		}
		open()
		if err := <-refused; !errors.Is(err, vmsso.ErrRejected) {
			t.Errorf("the wrong password: %v", err)
		}
	})
}

// Who asks for another person waits, because the credentials are the same, but
// does not get the first one's token.
func TestCallersForTwoPeopleShareNoToken(t *testing.T) {
	bubble(t, func(t *testing.T, l *stsLab) {
		people := []*vmsso.Token{l.bearer(t), l.bearer(t)}
		open := gate(l, -1)
		src := &supply{}
		s := l.source(t, tokensource.STSConfig{Certificate: &l.pair, ActAs: src})
		asked := l.sts.Requests()
		var callers sync.WaitGroup
		for _, person := range people {
			src.tok = person
			for range 2 {
				callers.Go(func() {
					if _, err := s.Token(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			synctest.Wait()
		}
		if n := l.sts.Requests() - asked; n != 1 {
			t.Errorf("%d requests under way, want 1", n)
		}
		open()
		callers.Wait()
		if n := l.sts.Requests() - asked; n != 2 || l.issued[2].ActAs != l.issued[0].ID || l.issued[3].ActAs != l.issued[1].ID {
			t.Errorf("%d requests, want one for each person", n)
		}
	})
}

// A key that panics takes nobody else with it.
func TestPanicOfAKeyReachesItsCallerOnly(t *testing.T) {
	bubble(t, func(t *testing.T, l *stsLab) {
		var calls atomic.Int32
		key := signing{l.pair.PrivateKey.(crypto.Signer), func() {
			if calls.Add(1) == 1 {
				time.Sleep(time.Second)
				panic("s3cr3t")
			}
		}}
		pair := tls.Certificate{Certificate: l.pair.Certificate, PrivateKey: key}
		s := l.source(t, tokensource.STSConfig{Credentials: func(context.Context) (signer.Credentials, error) {
			return signer.Credentials{Certificate: &pair}, nil
		}})
		panicked := make(chan any)
		go func() {
			defer func() { panicked <- recover() }()
			_, _ = s.Token(t.Context())
		}()
		synctest.Wait()
		if tok, err := s.Token(t.Context()); err != nil || tok.Key == nil {
			t.Errorf("the other caller: %v, %v", tok, err)
		}
		if <-panicked == nil {
			t.Error("no panic")
		}
	})
}

// signing is a key that tells when it signs.
type signing struct {
	crypto.Signer
	tell func()
}

func (s signing) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	s.tell()
	return s.Signer.Sign(rand, digest, opts)
}

// Faults of the network and busy servers are no refusals: the next call asks again.
func TestNetworkFaultsAreNoRefusals(t *testing.T) {
	status := func(code int) func(*stsLab) {
		return func(l *stsLab) {
			l.sts.Inject("", 3, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(code) })
		}
	}
	for name, fault := range map[string]func(*stsLab){
		"503": status(503), "502": status(502), "429": status(429), "500 without a fault": status(500), "404": status(404),
		"connection lost": func(l *stsLab) {
			l.sts.Inject("", 3, func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) })
		},
		"not reachable": func(l *stsLab) {
			l.net.Stop("vc.example.test")
			time.AfterFunc(time.Minute, func() { l.net.Serve("vc.example.test", l.sts) })
		},
	} {
		bubble(t, func(t *testing.T, l *stsLab) {
			s, _ := rotatingSource(t, l, password)
			fault(l)
			for range 3 {
				_, err := s.Token(t.Context())
				var le *vmsso.LoginError
				if !errors.As(err, &le) || errors.Is(err, vmsso.ErrRejected) || le.RetryAfter != 0 || le.Remembered || le.Stage != "Issue" {
					t.Errorf("%s: got %v, want an error that is no refusal", name, err)
				}
			}
			if name == "not reachable" {
				time.Sleep(time.Minute)
				synctest.Wait()
			}
			if _, err := s.Token(t.Context()); err != nil {
				t.Errorf("%s: afterwards %v", name, err)
			}
		})
	}
}

// A service that names a time is left alone until then, whoever asks.
func TestRetryAfterOfTheServiceIsRespected(t *testing.T) {
	for _, code := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests} {
		bubble(t, func(t *testing.T, l *stsLab) {
			l.sts.Inject("", 1, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
				w.Header().Set("Retry-After", "600")
				w.WriteHeader(code)
			})
			s, r := rotatingSource(t, l, password)
			for i := range 4 {
				_, err := s.Token(t.Context())
				var le *vmsso.LoginError
				if !errors.As(err, &le) || errors.Is(err, vmsso.ErrRejected) || le.Status != code || le.RetryAfter != 10*time.Minute-time.Duration(i)*150*time.Second || le.Remembered != (i > 0) {
					t.Errorf("%d: call %d: got %v", code, i, err)
				}
				r.password.Store("0ther-s3cr3t")
				time.Sleep(150 * time.Second)
			}
			r.password.Store(password)
			if n := l.sts.Requests(); n != 1 {
				t.Errorf("%d: %d requests in ten minutes, want 1", code, n)
			}
			if _, err := s.Token(t.Context()); err != nil {
				t.Errorf("%d: after the wait %v", code, err)
			}
		})
	}
}

// RefusedWait is what the configuration says, and five times that for an account
// that is locked.
func TestRefusedWaitOfTheConfiguration(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		wait time.Duration
	}{
		"wrong":            {"Invalid credentials", time.Hour},
		"password expired": {"User password expired", time.Hour},
		"locked":           {"User account locked: {Name: alice}", 5 * time.Hour},
	} {
		bubble(t, func(t *testing.T, l *stsLab) {
			l.sts.Inject("Issue", 1, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
				writeFault(w, soap11Fault("ns0:FailedAuthentication", tc.text))
			})
			s := l.source(t, tokensource.STSConfig{Username: user, Password: password, RefusedWait: time.Hour})
			for range 2 {
				if _, err := s.Token(t.Context()); !errors.Is(err, vmsso.ErrRejected) {
					t.Errorf("%s: got %v, want ErrRejected", name, err)
				}
				time.Sleep(tc.wait/2 - time.Second)
			}
			if n := l.sts.Requests(); n != 1 {
				t.Errorf("%s: %d requests, want 1", name, n)
			}
			time.Sleep(2 * time.Second)
			if _, err := s.Token(t.Context()); err != nil {
				t.Errorf("%s: after %v: %v", name, tc.wait, err)
			}
		})
	}
}
