package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vmsso/vmsso/vmssotest"
)

// newSecret returns a version of the Secret: a token, and the key pair that it is
// for.
func newSecret(authority *vmssotest.Authority, version int) (map[string][]byte, error) {
	pair := vmssotest.NewKeyPair(fmt.Sprintf("key-%d", version), nil)
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return nil, err
	}
	claims := vmssotest.Claims{ID: fmt.Sprintf("token-%d", version), Subject: "backup@vsphere.local", Holder: pair.Leaf}
	return map[string][]byte{
		"token.xml": []byte(authority.Issue(claims)),
		"tls.crt":   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}),
		"tls.key":   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	}, nil
}

// publish brings a version of a Secret into its volume as the kubelet does. Each
// file is a link through ..data, which is one to the directory of the version.
func publish(volume string, version int, secret map[string][]byte) error {
	at := func(name ...string) string { return filepath.Join(append([]string{volume}, name...)...) }
	dir := fmt.Sprintf("..%d", version)
	if err := os.Mkdir(at(dir), 0o700); err != nil {
		return err
	}
	for name, content := range secret {
		if err := os.WriteFile(at(dir, name), content, 0o400); err != nil {
			return err
		}
	}
	if err := os.Symlink(dir, at("..data_tmp")); err != nil {
		return err
	}
	if runtime.GOOS == "windows" { // a rename does not replace a directory's link there
		_ = os.Remove(at("..data")) // the first version finds none
	}
	if err := os.Rename(at("..data_tmp"), at("..data")); err != nil {
		return err
	}
	if version > 1 {
		return os.RemoveAll(at(fmt.Sprintf("..%d", version-1)))
	}
	for name := range secret {
		if err := os.Symlink(filepath.Join("..data", name), at(name)); err != nil {
			return err
		}
	}
	return nil
}
