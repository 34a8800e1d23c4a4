package retry

import (
	"math"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetryAfter(t *testing.T) {
	const date = "Date: Sun, 01 Mar 2026 12:00:00 GMT"
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		lines []string
		want  time.Duration
		ok    bool
	}{
		{[]string{"Retry-After: 0"}, 0, true},
		{[]string{"Retry-After: 120"}, 2 * time.Minute, true},
		{[]string{"Retry-After:  5 "}, 5 * time.Second, true},
		{[]string{"Retry-After: 007"}, 7 * time.Second, true},
		{[]string{"Retry-After: 9223372037"}, math.MaxInt64, true}, // a second more than a time.Duration holds
		{[]string{"Retry-After: 99999999999999999999999"}, math.MaxInt64, true},
		{[]string{"Retry-After: 3", "Retry-After: 9"}, 3 * time.Second, true},
		// The three forms of an HTTP date.
		{[]string{"Retry-After: Sun, 01 Mar 2026 12:00:20 GMT"}, 20 * time.Second, true},
		{[]string{"Retry-After: Sunday, 01-Mar-26 12:00:20 GMT"}, 20 * time.Second, true},
		{[]string{"Retry-After: Sun Mar  1 12:00:20 2026"}, 20 * time.Second, true},
		{[]string{"Retry-After: Sun, 01 Mar 2026 11:00:00 GMT"}, 0, true},
		{[]string{"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"}, math.MaxInt64, true},
		// The server's clock is an hour ahead, an hour behind, broken.
		{[]string{"Retry-After: Sun, 01 Mar 2026 13:00:20 GMT", "Date: Sun, 01 Mar 2026 13:00:00 GMT"}, 20 * time.Second, true},
		{[]string{"Retry-After: Sun, 01 Mar 2026 11:00:20 GMT", "Date: Sun, 01 Mar 2026 11:00:00 GMT"}, 20 * time.Second, true},
		{[]string{"Retry-After: Sun, 01 Mar 2026 12:00:20 GMT", "Date: noon"}, 20 * time.Second, true},
		{[]string{"Retry-After: 20", "Date: Sun, 01 Mar 2026 13:00:00 GMT"}, 20 * time.Second, true},
		// No time at all.
		{[]string{date}, 0, false},
		{[]string{"Retry-After: ", date}, 0, false},
		{[]string{"Retry-After: -1"}, 0, false},
		{[]string{"Retry-After: +1"}, 0, false},
		{[]string{"Retry-After: 1.5"}, 0, false},
		{[]string{"Retry-After: soon"}, 0, false},
		{[]string{"Retry-After: ١٢"}, 0, false}, // digits, but not those of RFC 9110
	}
	for _, tt := range tests {
		resp, _ := answer(503, "", tt.lines...)
		if got, ok := After(resp.Header, now); got != tt.want || ok != tt.ok {
			t.Errorf("%q: got %v, %t, want %v, %t", tt.lines, got, ok, tt.want, tt.ok)
		}
	}
	if got, ok := After(header(nil), now); got != 0 || ok {
		t.Errorf("after an error: got %v, %t, want none", got, ok)
	}
}

func TestServerNamesTheTime(t *testing.T) {
	tests := []struct {
		retryAfter     string
		floor, ceiling time.Duration
		want           time.Duration // negative: no further attempt
	}{
		{"3", 0, 0, 3 * time.Second},
		{"0", 0, 0, 500 * time.Millisecond}, // "at once" would be a loop that the server drives
		{"0", 2 * time.Second, 0, 2 * time.Second},
		{"30", 0, 0, 30 * time.Second},
		{"31", 0, 0, -1},
		{"1000000000", 0, 0, -1},
		{"99999999999999999999", 0, 0, -1},
		{"60", 0, time.Minute, time.Minute},
		{"61", 0, time.Minute, -1},
		{"50", time.Minute, time.Second, time.Minute}, // the floor wins over a lower ceiling
		{"Sat, 01 Jan 2000 00:00:12 GMT", 0, 0, 12 * time.Second},
		{"Sat, 01 Jan 2000 00:01:00 GMT", 0, 0, -1},
		{"Fri, 31 Dec 1999 00:00:00 GMT", 0, 0, 500 * time.Millisecond},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) { // the clock of a bubble starts on 2000-01-01
			first, b := answer(503, "busy", "Retry-After: "+tt.retryAfter)
			ok, _ := answer(200, "")
			calls := 0
			p := Policy{Max: 2, Floor: tt.floor, Ceiling: tt.ceiling, Retryable: unavailable}
			start := time.Now()
			resp, err := p.Do(t.Context(), first, nil, func() (*http.Response, error) { calls++; return ok, nil })
			took := time.Since(start)
			switch {
			case err != nil:
				t.Errorf("Retry-After %s: %v", tt.retryAfter, err)
			case tt.want < 0 && (resp != first || calls != 0 || took != 0 || b.read+b.closed != 0):
				t.Errorf("Retry-After %s, ceiling %v: %d attempts, %v, want the first response at once and untouched", tt.retryAfter, tt.ceiling, calls, took)
			case tt.want >= 0 && (resp != ok || took != tt.want):
				t.Errorf("Retry-After %s, floor %v: attempt after %v, want %v", tt.retryAfter, tt.floor, took, tt.want)
			}
		})
	}
}

func TestExponentialBackoff(t *testing.T) {
	const almostOne = 1 - 1e-9
	tests := []struct {
		floor, ceiling time.Duration
		retry          int
		shortest       time.Duration // with random 0; with random 1 it is longest
		longest        time.Duration
	}{
		{500 * time.Millisecond, 30 * time.Second, 0, 500 * time.Millisecond, time.Second},
		{500 * time.Millisecond, 30 * time.Second, 1, time.Second, 2 * time.Second},
		{500 * time.Millisecond, 30 * time.Second, 4, 8 * time.Second, 16 * time.Second},
		{500 * time.Millisecond, 30 * time.Second, 5, 15 * time.Second, 30 * time.Second},
		{500 * time.Millisecond, 30 * time.Second, 1000, 15 * time.Second, 30 * time.Second},
		{500 * time.Millisecond, 30 * time.Second, math.MaxInt32, 15 * time.Second, 30 * time.Second},
		{20 * time.Second, 30 * time.Second, 3, 20 * time.Second, 30 * time.Second},
		{time.Second, time.Second, 3, time.Second, time.Second},
		{math.MaxInt64, math.MaxInt64, 3, math.MaxInt64, math.MaxInt64},
	}
	for _, tt := range tests {
		if got := exponential(tt.floor, tt.ceiling, tt.retry, 0); got != tt.shortest {
			t.Errorf("retry %d from %v to %v: shortest %v, want %v", tt.retry, tt.floor, tt.ceiling, got, tt.shortest)
		}
		if got := exponential(tt.floor, tt.ceiling, tt.retry, almostOne); got > tt.longest || tt.longest-got > time.Microsecond {
			t.Errorf("retry %d from %v to %v: longest %v, want %v", tt.retry, tt.floor, tt.ceiling, got, tt.longest)
		}
	}
}

func TestWaitsGrowWithoutATimeFromTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waits []time.Duration
		p := Policy{Max: 4, Floor: time.Second, Ceiling: 6 * time.Second, Retryable: unavailable,
			OnRetry: func(_ int, wait time.Duration) { waits = append(waits, wait) }}
		last := time.Now()
		first, _ := answer(503, "busy")
		_, err := p.Do(t.Context(), first, nil, func() (*http.Response, error) {
			if got := time.Since(last); got != waits[len(waits)-1] {
				t.Errorf("attempt %d after %v, announced was %v", len(waits), got, waits[len(waits)-1])
			}
			last = time.Now()
			resp, _ := answer(503, "busy")
			return resp, nil
		})
		if err != nil || len(waits) != 4 {
			t.Fatalf("%d waits, error %v, want 4 and none", len(waits), err)
		}
		for i, bounds := range [][2]time.Duration{{1, 2}, {2, 4}, {3, 6}, {3, 6}} {
			if low, high := bounds[0]*time.Second, bounds[1]*time.Second; waits[i] < low || waits[i] > high {
				t.Errorf("wait %d is %v, want %v to %v", i+1, waits[i], low, high)
			}
		}
	})
}

// FuzzRetryAfter holds every wait between floor and ceiling, whatever the server asks for.
func FuzzRetryAfter(f *testing.F) {
	f.Add("120", "", int64(0), int64(0), 0)
	f.Add("Sun, 01 Mar 2026 12:00:20 GMT", "Sun, 01 Mar 2026 12:00:00 GMT", int64(time.Second), int64(time.Minute), 3)
	f.Add("-1", "x", int64(-5), int64(1), 1<<30)
	f.Fuzz(func(t *testing.T, after, date string, floor, ceiling int64, retry int) {
		resp := &http.Response{Header: http.Header{"Retry-After": {after}, "Date": {date}}}
		p := Policy{Floor: time.Duration(floor), Ceiling: time.Duration(ceiling)}
		low, high := p.bounds()
		if low <= 0 || high < low {
			t.Fatalf("bounds %v and %v", low, high)
		}
		if d, ok := After(resp.Header, time.Unix(1772366400, 0)); d < 0 || !ok && d != 0 {
			t.Errorf("Retry-After %q asks for %v", after, d)
		}
		if got := p.wait(max(retry, 0), resp, time.Unix(1772366400, 0)); got < low || got > high {
			t.Errorf("waits %v, want %v to %v", got, low, high)
		}
		if got := p.wait(max(retry, 0), nil, time.Unix(1772366400, 0)); got < low || got > high {
			t.Errorf("after an error: waits %v, want %v to %v", got, low, high)
		}
	})
}
