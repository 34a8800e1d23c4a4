// Kubernetes is for programs in a pod whose token, certificate and key are a Secret
// that rotates: the next login takes the new version, and never a mix of two.
package main

import (
	"context"
	"log"
	"log/slog"
	"net/http"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/tokensource"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// The manifest mounts the Secret as a whole; a file with a subPath would never change:
//
//	volumeMounts: [{name: vcenter, mountPath: /var/run/vcenter, readOnly: true}]
//	volumes: [{name: vcenter, secret: {secretName: vcenter, defaultMode: 0400}}]
func run(ctx context.Context) error {
	pod, err := newPod() // instead of Kubernetes, and of a vCenter that tells of logins
	if err != nil {
		return err
	}
	defer pod.close()
	source, err := tokensource.NewFile(tokensource.FileConfig{
		Token:       pod.mountPath + "/token.xml", // /var/run/vcenter/token.xml
		Certificate: pod.mountPath + "/tls.crt",
		Key:         pod.mountPath + "/tls.key",
		Poll:        -1,             // a look at each login; 0: once in 30 s
		Logger:      slog.Default(), // gets a warning of files that cannot be used
	})
	if err != nil {
		return err
	}
	client, transport, err := vmsso.Wrap(&http.Client{Transport: pod.base},
		vmsso.Config{Endpoint: pod.url, Source: source, Auth: &automation.Authenticator{}})
	if err != nil {
		return err
	}
	defer transport.Close() // after an error; else the last step has done it
	for _, then := range []func() error{pod.rotate, pod.endSessions, transport.Close} {
		if err := list(ctx, client, pod.url); err != nil {
			return err
		}
		if err := then(); err != nil {
			return err
		}
	}
	return nil
}
