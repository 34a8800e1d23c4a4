package vmssotest

import (
	"sync"
	"time"
)

// The lockout policy of a new SSO domain: five failures in three minutes lock a user for five.
const (
	lockoutFailures = 5
	lockoutWindow   = 180 * time.Second
	lockoutTime     = 300 * time.Second
)

// lockout counts the failures of known users.
type lockout struct {
	mu       sync.Mutex // guards the maps
	failures map[string][]time.Time
	until    map[string]time.Time
}

func (l *lockout) locked(user string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return now.Before(l.until[user])
}

func (l *lockout) failed(user string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failures == nil {
		l.failures, l.until = map[string][]time.Time{}, map[string]time.Time{}
	}
	recent := []time.Time{now}
	for _, t := range l.failures[user] {
		if now.Sub(t) < lockoutWindow {
			recent = append(recent, t)
		}
	}
	l.failures[user] = recent
	if len(recent) >= lockoutFailures {
		l.until[user] = now.Add(lockoutTime)
		delete(l.failures, user)
	}
}

func (l *lockout) forget(user string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.failures, user)
}
