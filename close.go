package vmsso

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// logoutTimeout bounds a logout that no caller waits for, and Close.
const logoutTimeout = 5 * time.Second

// Close logs out, for which it takes 5 seconds at most; an error means that a
// session may live on until the server ends it. One that is in Config.Store is left
// there for the next process: [Transport.Logout] ends it. A login that is under way is
// waited for, and logged out, because the server may have made its session
// already. Later requests to the endpoint, and those that wait for a session, fail
// with ErrClosed. Only the first Close does something. The base transport
// is the caller's: Close leaves it alone.
func (t *Transport) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), logoutTimeout)
	defer cancel()
	return t.Shutdown(ctx)
}

// Shutdown is Close under the caller's context.
func (t *Transport) Shutdown(ctx context.Context) error {
	t.state.Lock()
	first := !t.closed
	t.closed = true
	s, doubtful := t.session.Swap(nil), t.doubtful
	t.doubtful = nil
	t.state.Unlock()
	if !first {
		return nil
	}
	close(t.closing)
	t.keeper.close()
	end := sync.OnceFunc(func() { close(t.life) })
	defer end()
	if t.atLogin.Load() == 0 {
		end()
	}
	var err error
	switch {
	case s == nil:
	case s.stored == "":
		err = t.logout(ctx, s)
	default:
		t.busy.Go(func() { t.refresh(ctx, s) })
	}
	for _, s := range doubtful {
		_ = t.logout(ctx, s) // it is probably gone
	}
	idle := make(chan struct{})
	go func() {
		t.busy.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
		if err == nil && t.atLogin.Load() > 0 {
			err = errors.New("vmsso: closed while a login has no answer: its session may live on until the server ends it")
		}
	}
	return err
}

// Logout ends the session on the server, that of a login that is under way, and the
// one in Config.Store, whoever uses it. The transport stays usable: the next request
// logs in.
func (t *Transport) Logout(ctx context.Context) error {
	t.state.Lock()
	t.generation.Add(1)
	s := t.session.Swap(nil)
	t.ended.Store(s)
	t.state.Unlock()
	switch {
	case t.shelf != nil:
		return t.logoutStored(ctx, s)
	case s != nil:
		return t.logout(ctx, s)
	}
	return nil
}

// leaveUnused ends a session that nobody got to use, unless others can: in the store.
func (t *Transport) leaveUnused(ctx context.Context, s *Session) {
	if s.stored == "" {
		_ = t.logout(ctx, s)
	}
}

// logout works also under a context that has ended: then for as long as a
// logout may take. A panic in the Authenticator ends the logout alone.
func (t *Transport) logout(ctx context.Context, s *Session) (err error) {
	if ctx.Err() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, logoutTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
		t.events.logout(ctx, s, err)
	}()
	return t.auth.Logout(ctx, t.base, t.endpoint, s)
}

// settle ends the doubt about a session that was dropped. Nobody uses it any more:
// unless it is dead, it is logged out, and the next refusals are looked into.
func (t *Transport) settle(s *Session, dead bool) {
	t.state.Lock()
	i := slices.Index(t.doubtful, s)
	if i < 0 { // Close has it
		t.state.Unlock()
		return
	}
	t.doubtful = slices.Delete(t.doubtful, i, i+1)
	if !dead {
		t.breaker.arm()
		t.busy.Add(1)
		go func() {
			defer t.busy.Done()
			_ = t.logout(context.Background(), s)
		}()
	}
	t.state.Unlock()
}

// abandon logs out a session that is not used any more, in the background.
func (t *Transport) abandon(s *Session) {
	if !t.enter() {
		return
	}
	go func() {
		defer t.busy.Done()
		_ = t.logout(context.Background(), s)
	}()
}

// isClosing tells whether Close was called.
func (t *Transport) isClosing() bool {
	select {
	case <-t.closing:
		return true
	default:
		return false
	}
}

// enter announces work that Close waits for; it is refused after Close.
func (t *Transport) enter() bool {
	t.state.Lock()
	defer t.state.Unlock()
	if t.closed {
		return false
	}
	t.busy.Add(1)
	return true
}
