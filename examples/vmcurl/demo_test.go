package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
)

const wantDemo = `A vCenter and a Cloud Director run on 127.0.0.1. What they need to be talked to is in
DIR

1  A server that nobody knows is not trusted, and gets to see nothing
$ vmcurl -vcenter https://HOST -cert DIR/cert.pem -key DIR/key.pem /api/vcenter/vm
  vmcurl: the certificate of HOST is not trusted: WHY. No password or token was sent.
    It has the SHA-256 thumbprint
      THUMBPRINT
    Compare it with what the server itself says, on its console or through whoever runs it:
      openssl x509 -noout -fingerprint -sha256 -in its-certificate.pem
    Only if both are the same, add -thumbprint and this value; or give the CA with -ca FILE
    (a vCenter's: https://HOST/certs/download.zip).
  -- exit 60; logins so far: REST 0, SOAP 0, Director 0; open sessions: 0

2  With its CA: a login with a certificate, and the answer
$ vmcurl -vcenter https://HOST -cert DIR/cert.pem -key DIR/key.pem -ca DIR/ca.pem /api/vcenter/vm
  [{"vm":"vm-1","name":"web01","power_state":"POWERED_ON","cpu_count":2,"memory_size_MiB":
  4096},{"vm":"vm-2","name":"web02","power_state":"POWERED_ON","cpu_count":2,"memory_size_
  MiB":4096},{"vm":"vm-3","name":"db01","power_state":"POWERED_OFF","cpu_count":4,"memory_
  size_MiB":16384}]
  -- exit 0; logins so far: REST 1, SOAP 0, Director 0; open sessions: 1

3  Once more: the session was kept
$ vmcurl -vcenter https://HOST -cert DIR/cert.pem -key DIR/key.pem -ca DIR/ca.pem /api/vcenter/vm
  [{"vm":"vm-1","name":"web01","power_state":"POWERED_ON","cpu_count":2,"memory_size_MiB":
  4096},{"vm":"vm-2","name":"web02","power_state":"POWERED_ON","cpu_count":2,"memory_size_
  MiB":4096},{"vm":"vm-3","name":"db01","power_state":"POWERED_OFF","cpu_count":4,"memory_
  size_MiB":16384}]
  -- exit 0; logins so far: REST 1, SOAP 0, Director 0; open sessions: 1

4  SOAP, from standard input; a person with a password
$ vmcurl -vcenter https://HOST -ca DIR/ca.pem -user alice@vsphere.local -password-file DIR/password /sdk <DIR/message.xml
  <?xml version="1.0" encoding="UTF-8"?>
  <soapenv:Envelope xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/" xmlns:soapen
  v="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchem
  a" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><CurrentTimeRespo
  nse xmlns="urn:vim25"><returnval>TIME</returnval></CurrentTimeRespon
  se></soapenv:Body></soapenv:Envelope>
  -- exit 0; logins so far: REST 1, SOAP 1, Director 0; open sessions: 2

5  A Cloud Director, with a token of its organization's identity provider
$ vmcurl -director https://HOST -org Finance -ca DIR/ca.pem -token DIR/token.xml /cloudapi/1.0.0/vms
  {"resultTotal":3,"pageCount":1,"page":1,"pageSize":25,"values":[{"id":"vm-1","name":"web
  01","status":"POWERED_ON","numberOfCpus":2,"memoryMB":4096},{"id":"vm-2","name":"web02",
  "status":"POWERED_ON","numberOfCpus":2,"memoryMB":4096},{"id":"vm-3","name":"db01","stat
  us":"POWERED_OFF","numberOfCpus":4,"memoryMB":16384}]}
  -- exit 0; logins so far: REST 1, SOAP 1, Director 1; open sessions: 3

6  Log out: the session with the vCenter's REST API ends
$ vmcurl -vcenter https://HOST -cert DIR/cert.pem -key DIR/key.pem -ca DIR/ca.pem -logout
  -- exit 0; logins so far: REST 1, SOAP 1, Director 1; open sessions: 2

The servers are gone now. To try by yourself: vmcurl -demo serve
`

// TestDemo is what a stranger sees first.
func TestDemo(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	l := &lab{t: t}
	got := steadyDemo(l.ok("-demo"))
	if got != wantDemo {
		t.Errorf("got\n%s\nwant\n%s", got, wantDemo)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}

// steadyDemo replaces what differs from run to run.
func steadyDemo(s string) string {
	for _, r := range []struct{ expr, with string }{
		{` \\\n   `, ""}, // where a command line is broken depends on its length
		{`[^\s<]*vmcurl-demo-\d+[/\\]`, "DIR/"},
		{`[^\s<]*vmcurl-demo-\d+`, "DIR"},
		{`127\.0\.0\.1:\d+`, "HOST"},
		{`is not trusted: .*\. No`, "is not trusted: WHY. No"}, // macOS and Windows have other words
		{`(?:[0-9A-F]{2}:){31}[0-9A-F]{2}`, "THUMBPRINT"},
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`, "TIME"},
	} {
		s = regexp.MustCompile(r.expr).ReplaceAllString(s, r.with)
	}
	return s
}

// TestDemoOfOnesOwn runs a command line against the servers.
func TestDemoOfOnesOwn(t *testing.T) {
	l := &lab{t: t}
	if got := l.ok("-demo", "-i", "/api/vcenter/vm"); !strings.HasPrefix(got, "HTTP/2.0 200 OK\r\n") || !strings.Contains(got, vms) {
		t.Errorf("got %q", got)
	}
	if r := l.run("-demo", "-f", "/api/nothing"); r.status != statusHTTP {
		t.Errorf("got %+v, want 22", r)
	}
}

// TestDemoServe waits for others, who find what they need.
func TestDemoServe(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	l := &lab{t: t, cache: t.TempDir()}
	var got string
	status := run(ctx, []string{"-demo", "serve"}, l.systemFunc(func(text string) {
		got += text
		if !strings.Contains(got, "-logout\n") {
			return
		}
		defer interrupt()
		line := strings.Fields(strings.ReplaceAll(regexp.MustCompile(`(?s)# With its CA[^\n]*\n(.*?)\n\n`).FindStringSubmatch(got)[1], "\\\n", ""))
		if answer := l.ok(line[1:]...); !strings.Contains(answer, vms) {
			t.Errorf("%q: got %q", line, answer)
		}
	}))
	if status != 0 {
		t.Errorf("status %d, want 0", status)
	}
}

// systemFunc is a system whose standard output f sees as it is written.
func (l *lab) systemFunc(f func(string)) *system {
	sys := l.system(&bytes.Buffer{}, &bytes.Buffer{})
	sys.stdout = writerFunc(f)
	return sys
}

type writerFunc func(string)

func (f writerFunc) Write(b []byte) (int, error) {
	f(string(b))
	return len(b), nil
}

// TestREADME shows the command lines and the usage as they are.
func TestREADME(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "```\n"+usage+"```\n") {
		t.Error("README.md does not hold the usage word for word")
	}
}
