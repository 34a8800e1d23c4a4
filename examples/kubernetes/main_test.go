package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"go.uber.org/goleak"

	"github.com/vmsso/vmsso/tokensource"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	main()
	// Output:
	// login with token-1, signed by key-1
	// list of VMs: 200 OK
	// the Secret rotates
	// list of VMs: 200 OK
	// the vCenter ends the session
	// login with token-2, signed by key-2
	// list of VMs: 200 OK
}

// TestNoTokenIsMixedOfTwoVersions: whoever asks while the Secret rotates gets a token
// with its own key, and the last version at last.
func TestNoTokenIsMixedOfTwoVersions(t *testing.T) {
	pod, err := newPod()
	if err != nil {
		t.Fatal(err)
	}
	defer pod.close()
	var secrets []map[string][]byte
	keyOf := map[string]crypto.PublicKey{} // by assertion
	for i := range 3 {
		secret, err := newSecret(pod.authority, 100+i)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(secret["tls.crt"])
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, secret)
		keyOf[string(secret["token.xml"])] = leaf.PublicKey
	}
	rotate := func(version int) {
		if err := publish(pod.mountPath, version, secrets[version%len(secrets)]); err != nil {
			t.Error(err)
		}
	}
	rotate(2)
	source, err := tokensource.NewFile(tokensource.FileConfig{
		Token: pod.mountPath + "/token.xml", Certificate: pod.mountPath + "/tls.crt", Key: pod.mountPath + "/tls.key", Poll: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	const last = 200
	done := make(chan struct{})
	go func() {
		defer close(done)
		for version := 3; version <= last; version++ {
			rotate(version)
		}
	}()
	defer func() { <-done }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		token, err := source.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if key, ok := token.Key.Public().(*rsa.PublicKey); !ok || !key.Equal(keyOf[token.Assertion]) {
			t.Error("the token and the key are of two versions")
		}
		if want := string(secrets[last%len(secrets)]["token.xml"]); !running && token.Assertion != want {
			t.Error("after the last rotation the token is not the last")
		}
	}
}
