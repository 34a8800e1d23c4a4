module github.com/vmsso/vmsso/bench/peers

go 1.26.0

require (
	github.com/beevik/etree v1.8.1
	github.com/hashicorp/go-retryablehttp v0.7.8
	github.com/klauspost/compress v1.20.3
	github.com/russellhaering/goxmldsig v1.6.1
	github.com/vmsso/vmsso v0.0.0
	github.com/vmware/govmomi v0.56.0
	golang.org/x/oauth2 v0.37.0
)

require (
	github.com/google/uuid v1.6.0 // indirect
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/jonboulle/clockwork v0.5.0 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	software.sslmate.com/src/go-pkcs12 v0.7.4 // indirect
)

replace github.com/vmsso/vmsso => ../..
