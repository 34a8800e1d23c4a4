package vmssotest

import (
	"fmt"
	"testing"
	"time"
)

// When there are too many sessions, the names of those are forgotten that are over.
func TestDirectorNamesBounded(t *testing.T) {
	var d directorSessions
	d.idle, d.now = time.Minute, testTime
	alive := &directorSession{session: &session{cookie: newUUID(), state: loggedIn}, jwt: "a.b.c"}
	d.add(alive)
	dead := &directorSession{session: &session{cookie: newUUID()}}
	for i := range maxSessions {
		d.names[fmt.Sprint(i)] = dead
	}
	last := &directorSession{session: &session{cookie: newUUID(), state: loggedIn}}
	d.add(last)
	if len(d.names) != 3 || d.find("a.b.c") != alive || d.find(alive.token()) != alive || d.find(last.token()) != last || d.find("1") != nil {
		t.Errorf("%d names are kept, want 3", len(d.names))
	}
}
