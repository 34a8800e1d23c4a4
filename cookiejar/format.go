package cookiejar

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"
)

var (
	_ fmt.Formatter  = Jar{}
	_ slog.LogValuer = Jar{}
)

// Format implements [fmt.Formatter]: every verb writes the origin and the number of cookies, such as
// cookiejar.Jar(https://vc.example.com:443, 1 cookie), because names and values are secrets of the session. %q quotes it.
func (j Jar) Format(f fmt.State, verb rune) {
	text := j.summary(time.Now())
	if verb == 'q' {
		text = strconv.Quote(text)
	}
	io.WriteString(f, text)
}

// LogValue implements [slog.LogValuer] with the same text as Format.
func (j Jar) LogValue() slog.Value {
	return slog.StringValue(j.summary(time.Now()))
}

func (j Jar) summary(now time.Time) string {
	if j.contents == nil {
		return "cookiejar.Jar(no origin)"
	}
	n, plural := len(j.all(now)), "s"
	if n == 1 {
		plural = ""
	}
	return fmt.Sprintf("cookiejar.Jar(%v, %d cookie%s)", j.contents().origin, n, plural)
}
