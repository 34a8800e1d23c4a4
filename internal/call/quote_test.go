package call_test

import (
	"testing"

	"github.com/vmsso/vmsso/internal/call"
)

func TestRedactLeavesNoSecretAndNoPieceOfOne(t *testing.T) {
	const token = `<saml2:Assertion ID="_1">0123456789abcdefghijklmnopqrstuvwxyz</saml2:Assertion>`
	tests := []struct {
		name, in string
		secrets  []string
		want     string
	}{
		{"no secret", "Invalid credentials", nil, "Invalid credentials"},
		{"not echoed", "Invalid credentials", []string{token}, "Invalid credentials"},
		{"whole", "bad token " + token + " refused", []string{token}, "bad token [redacted] refused"},
		{"twice", token + token, []string{token}, "[redacted][redacted]"},
		{"cut at the end", "bad token " + token[:30], []string{token}, "bad token [redacted]"},
		{"cut at the beginning", token[30:] + " refused", []string{token}, "[redacted] refused"},
		{"cut at both ends", "bad " + token[20:50] + " refused", []string{token}, "bad [redacted] refused"},
		{"two pieces", token[:20] + " … " + token[40:], []string{token}, "[redacted] … [redacted]"},
		{"16 bytes", "a " + token[25:41] + " b", []string{token}, "a [redacted] b"},
		{"16 bytes at the end", "a " + token[25:41], []string{token}, "a [redacted]"},
		{"15 bytes could be anything", "a 0123456789abcde b", []string{token}, "a 0123456789abcde b"},
		{"a short password", "user jo, password abc is wrong", []string{"abc"}, "user jo, password [redacted] is wrong"},
		{"several", "jo: hunter2 and " + token, []string{"hunter2", token}, "jo: [redacted] and [redacted]"},
		{"an empty secret", "Invalid credentials", []string{"", "Invalid"}, "[redacted] credentials"},
		{"a secret of two bytes would blot out the text", "in the beginning", []string{"in"}, "in the beginning"},
		{"one secret in another", "hunter2hunter2hunter2", []string{"hunter2", "hunter2hunter2hunter2"}, "[redacted][redacted][redacted]"},
		{"the other way round", "hunter2hunter2hunter2", []string{"hunter2hunter2hunter2", "hunter2"}, "[redacted]"},
		{"overlapping", "0123456789abcdefghijklmnopqrst", []string{"0123456789abcdefghij", "abcdefghijklmnopqrst"}, "[redacted]klmnopqrst"},
		{"a secret that overlaps itself", "abababababababababababab", []string{"ababababababababab"}, "[redacted]ababab"},
		{"a secret that looks like what replaces it", "a [redacted] b", []string{"[redacted]"}, "a [redacted] b"},
		{"a long secret around what replaces it", "xx[redacted]yyyyzz", []string{"xx[redacted]yyyyzz", "y[redacted]y[redacted]y"}, "[redacted]"},
		{"characters of several bytes", "é " + "пароль-пароль" + " é", []string{"пароль-пароль"}, "é [redacted] é"},
		{"an empty text", "", []string{token}, ""},
		{"a text shorter than a piece", token[:5], []string{token}, token[:5]},
	}
	for _, tt := range tests {
		if got := call.Redact(tt.in, tt.secrets...); got != tt.want {
			t.Errorf("%s: Redact(%q, %q): got %q, want %q", tt.name, tt.in, tt.secrets, got, tt.want)
		}
	}
}
