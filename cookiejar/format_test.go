package cookiejar

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

func TestSecretsAreNotPrinted(t *testing.T) {
	u := mustURL(t, "https://user:hunter2@vc.example.com/sdk?ticket=hunter2")
	j := New(u)
	j.SetCookies(u, []*http.Cookie{{Name: "session_hunter2", Value: "hunter2", Path: "/hunter2"}})
	hidden := struct { // fmt calls no methods on unexported fields
		jar   Jar
		jarp  *Jar
		inner struct{ jar any }
	}{jar: *j, jarp: j}
	hidden.inner.jar = *j

	const want = "cookiejar.Jar(https://vc.example.com:443, 1 cookie)"
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T %p", "%40v"} {
		for name, arg := range map[string]any{"pointer": j, "value": *j, "field": hidden, "pointer to field": &hidden, "slice": []*Jar{j}} {
			args := []any{arg, arg}[:strings.Count(format, "%")]
			got := fmt.Sprintf(format, args...)
			if strings.Contains(got, "hunter2") || strings.Contains(got, "68756e74657232") {
				t.Errorf("%s of %s shows the secret: %s", format, name, got)
			}
			if name == "value" && len(args) == 1 && !strings.Contains(got, want) {
				t.Errorf("%s: got %s, want %s", format, got, want)
			}
		}
	}

	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("login", "pointer", j, "value", *j, "fields", hidden)
	}
	data, err := json.Marshal(struct{ Value, Pointer any }{*j, j})
	if err != nil {
		t.Fatal(err)
	}
	if got := log.String() + string(data); strings.Contains(got, "hunter2") || strings.Count(got, want) != 4 {
		t.Errorf("logged:\n%s\nwant %s four times and no secret", got, want)
	}
}

func TestFormatCountsLiveCookies(t *testing.T) {
	u := mustURL(t, "https://[2001:DB8::1]/sdk")
	j := New(u)
	if got, want := fmt.Sprint(j), "cookiejar.Jar(https://[2001:db8::1]:443, 0 cookies)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := fmt.Sprintf("%q %v", New(nil), Jar{}), `"cookiejar.Jar(no origin)" cookiejar.Jar(no origin)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
