package retry

import (
	"cmp"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	defaultFloor   = 500 * time.Millisecond
	defaultCeiling = 30 * time.Second
)

// bounds returns Floor and Ceiling with their defaults.
func (p Policy) bounds() (floor, ceiling time.Duration) {
	floor = cmp.Or(max(p.Floor, 0), defaultFloor)
	return floor, max(floor, cmp.Or(max(p.Ceiling, 0), defaultCeiling))
}

// wait returns how long to wait after resp, which is nil after an error, before the further attempt retry, counted from 0.
func (p Policy) wait(retry int, resp *http.Response, now time.Time) time.Duration {
	floor, ceiling := p.bounds()
	if d, ok := After(header(resp), now); ok {
		return min(max(d, floor), ceiling)
	}
	return exponential(floor, ceiling, retry, rand.Float64())
}

// exponential returns the wait for a server that names no time, between floor*2^retry and twice that; random is in [0, 1). Where that
// exceeds the ceiling, the wait is between half the ceiling and the ceiling.
func exponential(floor, ceiling time.Duration, retry int, random float64) time.Duration {
	upper := ceiling
	if f := math.Ldexp(float64(floor), retry+1); f < float64(ceiling) { // in floating point nothing overflows
		upper = time.Duration(f)
	}
	lower := max(floor, upper/2)
	return lower + time.Duration(random*float64(upper-lower))
}

// After returns the wait that the Retry-After field of an answer asks for (RFC 9110 section 10.2.3), and whether it asks for one: a number of
// seconds, or a date. A date counts from the Date of the response, so that a wrong clock on either side does not matter, or from now when
// there is none; one that has passed asks for no wait. What is neither is ignored.
func After(answer http.Header, now time.Time) (time.Duration, bool) {
	value := strings.TrimSpace(answer.Get("Retry-After"))
	if isDigits(value) {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(math.MaxInt64/time.Second) {
			return math.MaxInt64, true // longer than anybody waits
		}
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	if date, err := http.ParseTime(answer.Get("Date")); err == nil {
		now = date
	}
	return max(at.Sub(now), 0), true
}

// header is that of resp, which is nil after an error.
func header(resp *http.Response) http.Header {
	if resp == nil {
		return nil
	}
	return resp.Header
}

// isDigits reports whether s consists of digits only: strconv accepts a sign, RFC 9110 does not.
func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
