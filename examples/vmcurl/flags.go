package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const usage = `Vmcurl is a curl that is logged in, to vCenter or Cloud Director.

  vmcurl -vcenter vc.example.com -user alice@vsphere.local /api/vcenter/vm
  vmcurl -vcenter vc.example.com -cert c.pem -key k.pem /sdk <message.xml
  vmcurl -vcenter vc.example.com -p12 c.p12 -o a.vmx '/folder/a/a.vmx?dsName=ds'
  vmcurl -director vcd.example.com -org Finance -token token.xml /api/org
  vmcurl -vcenter vc.example.com -user alice@vsphere.local -logout
  vmcurl -demo                 shows all this with servers of its own

Usage: vmcurl [flags] path     (or a URL of that server)

server   -vcenter URL          or -director URL and -org NAME (none: provider);
                               none of them: the variable GOVC_URL
user     -user NAME            the password is asked for, or it is in
                               -password-file FILE, or in VMCURL_PASSWORD
         -cert FILE -key FILE  PEM, or -p12 FILE: a solution user; or with -user
         -token FILE           a SAML assertion; -cert or -p12 has its key
                               none of them: GOVC_USERNAME, GOVC_CERTIFICATE …
         -sts URL              token service, if not the vCenter; -audience ID
trust    -ca FILE              PEM; or -thumbprint SHA256 of the certificate
request  -X METHOD  -H 'Name: value'  -d DATA, @FILE or @- (standard input)
answer   -o FILE    -i with headers   -f no body, and exit 22, if HTTP >= 400
         -v what is sent, and logins, without secrets   -s no progress
         -max-time SECONDS
session  kept for the next run, in -store DIR (default: your cache directory);
         -no-store keeps none, -logout ends it

exit     0 done, 2 command line, 6 no such host, 7 no connection, 22 see -f,
         28 time is over, 60 certificate not trusted, 67 login denied,
         130 interrupted, 1 anything else
`

// options are the command line.
type options struct {
	vcenter, director, org         string
	sts, audience                  string
	user, passwordFile             string
	cert, key, p12, token          string
	ca                             string
	thumbprints                    []string
	method                         string
	data                           *string // nil: none was given
	header                         http.Header
	out                            string
	include, fail, silent, verbose bool
	maxTime                        time.Duration
	store                          string
	noStore, logout                bool

	path string
}

// A usageError is a command line that cannot be used, or a file that it names.
// Nothing was sent.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("vmcurl", flag.ContinueOnError)
	f.SetOutput(io.Discard) // run says what is wrong
	for name, v := range map[string]*string{
		"vcenter": &o.vcenter, "director": &o.director, "org": &o.org, "sts": &o.sts, "audience": &o.audience,
		"user": &o.user, "password-file": &o.passwordFile, "cert": &o.cert, "key": &o.key, "p12": &o.p12, "token": &o.token,
		"ca": &o.ca, "X": &o.method, "o": &o.out, "store": &o.store,
	} {
		f.StringVar(v, name, "", "")
	}
	for name, v := range map[string]*bool{
		"i": &o.include, "f": &o.fail, "s": &o.silent, "v": &o.verbose, "no-store": &o.noStore, "logout": &o.logout,
	} {
		f.BoolVar(v, name, false, "")
	}
	f.Func("thumbprint", "", func(s string) error { o.thumbprints = append(o.thumbprints, s); return nil })
	f.Func("H", "", o.addHeader)
	f.Func("max-time", "", func(s string) (err error) { o.maxTime, err = seconds(s); return err })
	f.Func("d", "", func(s string) error {
		if o.data != nil {
			return errors.New("it is there twice: a request has one body")
		}
		o.data = &s
		return nil
	})
	return f
}

// parse reads the command line; flags may stand behind the path too.
func parse(args []string) (*options, error) {
	o := &options{header: http.Header{}}
	f := o.flags()
	for {
		if err := f.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, usagef("%w%s; -h explains", err, instead(err))
		}
		if f.NArg() == 0 {
			return o, o.check()
		}
		if o.path != "" {
			return nil, usagef("there are two paths, %q and %q: give one, in quotes if it has a & or a blank; -h explains", o.path, f.Arg(0))
		}
		o.path, args = f.Arg(0), f.Args()[1:]
	}
}

// instead tells what to use in place of a flag of curl.
func instead(err error) string {
	_, name, _ := strings.Cut(err.Error(), "not defined: ")
	switch strings.TrimLeft(name, "-") {
	case "k", "insecure":
		return ": without it, the error tells a thumbprint that you can check, and then trust with -thumbprint"
	case "u", "password":
		return ": -user NAME, and the password is asked for or in -password-file"
	case "b", "c", "cookie", "cookie-jar":
		return ": the session is kept for the next run without it"
	case "L", "location":
		return ": redirects are not followed, -i shows where they go"
	case "demo":
		return ": it is the first argument"
	}
	return ""
}

func (o *options) addHeader(field string) error {
	name, value, ok := strings.Cut(field, ":")
	value = strings.TrimSpace(value)
	switch {
	case !ok || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`()<>@,;\"/[]?={}`, r) }):
		return errors.New("a header is 'Name: value'")
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return errors.New("a header has no control characters")
	}
	switch name = http.CanonicalHeaderKey(name); name {
	case "Authorization", "Cookie", "Vmware-Api-Session-Id", "X-Vcloud-Authorization", "Host", "Content-Length", "Transfer-Encoding":
		return errors.New("vmcurl sets this header by itself")
	}
	o.header.Add(name, value)
	return nil
}

// seconds reads a time as curl has it, "1.5", or as Go does, "1m30s".
func seconds(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if n, ferr := strconv.ParseFloat(s, 64); ferr == nil {
		d, err = time.Duration(n*float64(time.Second)), nil
	}
	if err != nil || d <= 0 {
		return 0, errors.New("it is no number of seconds")
	}
	return d, nil
}

// check refuses what contradicts itself.
func (o *options) check() error {
	for _, c := range []struct {
		wrong bool
		say   string
	}{
		{o.path == "" && !o.logout, "which path? such as /api/vcenter/vm; -h has examples, and -demo shows them without a vCenter"},
		{o.path != "" && o.logout, "-logout ends the session, and takes no path"},
		{o.vcenter != "" && o.director != "", "-vcenter and -director are two servers: give one"},
		{o.org != "" && o.vcenter != "", "-org is an organization of Cloud Director: give it with -director"},
		{strings.Contains(o.user, ":"), "-user takes the name alone: a password on the command line can be seen by others; it is asked for, or in -password-file"},
		{o.key != "" && o.cert == "", "-key is the key of a certificate: give -cert too"},
		{o.cert != "" && o.p12 != "", "-cert and -p12 are two certificates: give one"},
		{o.token != "" && o.user != "", "-token and -user are two users: give one"},
		{o.token != "" && (o.sts != "" || o.audience != ""), "-sts and -audience are for a token that is to be got, and -token has one: give one of them"},
		{o.passwordFile != "" && o.user == "" && o.p12 == "", "-password-file is the password of -user or of -p12: give one of them"},
		{o.director != "" && o.token == "" && (o.sts == "") != (o.audience == ""), "a Cloud Director with tokens of a vCenter takes both: -sts, the vCenter, and -audience, the entity ID of the organization's SAML metadata"},
		{o.ca != "" && o.thumbprints != nil, "-ca and -thumbprint are two ways to trust: give one"},
		{o.store != "" && o.noStore, "-store and -no-store contradict each other"},
		{o.logout && o.noStore, "-logout ends the session of the store: without one there is none"},
	} {
		if c.wrong {
			return usageError{errors.New(c.say)}
		}
	}
	return nil
}
