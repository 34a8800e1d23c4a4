package vmsso

import (
	"context"
	"time"
)

// logoutTimeout bounds a logout that no caller waits for, and Close.
const logoutTimeout = 5 * time.Second

// Close logs out, for which it takes 5 seconds at most; an error means that the
// session may live on until the server ends it. Later requests to the endpoint
// fail with ErrClosed. Only the first Close does something. The base transport
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
	s := t.session.Swap(nil)
	t.state.Unlock()
	if !first {
		return nil
	}
	t.end(ErrClosed)
	t.keeper.close()
	var err error
	if s != nil {
		err = t.logout(ctx, s)
	}
	idle := make(chan struct{})
	go func() {
		t.busy.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	return err
}

// Logout ends the session on the server. The transport stays usable: the next
// request logs in.
func (t *Transport) Logout(ctx context.Context) error {
	if s := t.session.Swap(nil); s != nil {
		return t.logout(ctx, s)
	}
	return nil
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
