package main

// sections are what the library wants to reach, and the rows that tell.
func sections() []section {
	return []section{
		{"Requests, in a session that exists", requests()},
		{"Signing, over the operation of the key alone", signing()},
		{"The header of a token", header()},
		{"10,000 goroutines wait for one login", storm()},
		{"10,000 hosts", hosts()},
	}
}

func requests() []claim {
	const row, peers = "Request/4-headers/", "peers Request/"
	return []claim{
		{"time over the base's", "ns", over(row+"vmsso", row+"limit:base", "ns/op"), 350, "oauth2", over(peers+"oauth2", peers+"limit:base", "ns/op")},
		{"times the least that keeps the contract", "x", is(row+"vmsso", "x-limit"), 1.17, "", nil},
		{"times oauth2's", "x", times(peers+"vmsso", peers+"oauth2", "x-limit"), 0.45, "retryablehttp", times(peers+"retryablehttp", peers+"oauth2", "x-limit")},
		{"times that with `Request.Clone`", "x", times(row+"vmsso", row+"req.Clone", "x-limit"), 0.65, "", nil},
		{"allocations", "allocs", is(row+"vmsso", "allocs/op"), 3, "oauth2", is(peers+"oauth2", "allocs/op")},
		{"bytes", "B", is(row+"vmsso", "B/op"), 720, "oauth2", is(peers+"oauth2", "B/op")},
		{"three layers, times one", "x", times(row+"vmsso-three-layers", row+"vmsso-one-layer", "x-limit"), 1.15, "", nil},
		{"a session of a cookie, times one of a header", "x", times(row+"vmsso-cookie", row+"vmsso", "x-limit"), 1.15, "", nil},
		{"on all CPUs, times as slow as on one, over what the allocator alone does so", "x", scaling, 1.05, "", nil},
		{"looking the session up, over an atomic pointer", "ns", is("Session/vmsso", "over-ns/op"), 2, "", nil},
		{"looking the session up on all CPUs, times one", "x", times("Session/vmsso/all-CPUs", "Session/vmsso/1-CPU", "ns/op"), 1 / 1.9, "", nil},
		{"over TLS on loopback, times the base", "x", is("Loopback/vmsso", "x-limit"), 1.05, "oauth2", is("peers Loopback/oauth2", "x-limit")},
		{"client with a cookie, times one with a cookie jar, 1 host", "x", times("peers Cookies/1-hosts/vmsso", "peers Cookies/1-hosts/net/http/cookiejar", "x-limit"), 0.5, "", nil},
		{"the same, 10,000 hosts of a domain", "x", times("peers Cookies/10000-hosts/vmsso", "peers Cookies/10000-hosts/net/http/cookiejar", "x-limit"), 0.002, "", nil},
	}
}

// scaling is how much worse requests scale than the allocations that they cannot
// do without.
func scaling(r *results) float64 {
	const row = "RequestParallel/"
	ours := times(row+"vmsso/all-CPUs", row+"vmsso/1-CPU", "ns/op")(r)
	return ours / times(row+"limit:maps.Clone/all-CPUs", row+"limit:maps.Clone/1-CPU", "ns/op")(r)
}

func signing() []claim {
	const peers = "peers LoginMessage/"
	const unit = "over-ns/op"
	return []claim{
		{"`LoginByToken`, RSA-2048", "ns", is("Signing/RSA-2048/LoginByToken", unit), 10_000, "govmomi", is(peers+"RSA-2048/govmomi", unit)},
		{"`LoginByToken`, P-256", "ns", is("Signing/P-256/LoginByToken", unit), 10_000, "etree + goxmldsig", is(peers+"P-256/etree+goxmldsig", unit)},
		{"`LoginByToken`, P-256, times the key", "x", is("Signing/P-256/LoginByToken", "x-limit"), 1.35, "etree + goxmldsig", is(peers+"P-256/etree+goxmldsig", "x-limit")},
		{"`LoginByToken`, bearer (no key)", "ns", is("SigningBearer/LoginByToken", "ns/op"), 6000, "", nil},
		{"`LoginByToken`, allocations over the key's", "allocs", over("Signing/RSA-2048/LoginByToken", "Signing/RSA-2048/limit:raw", "allocs/op"), 4, "govmomi", over(peers+"RSA-2048/govmomi", peers+"RSA-2048/limit:raw", "allocs/op")},
		{"`LoginByToken`, bytes over the key's", "B", over("Signing/RSA-2048/LoginByToken", "Signing/RSA-2048/limit:raw", "B/op"), 12_000, "govmomi", over(peers+"RSA-2048/govmomi", peers+"RSA-2048/limit:raw", "B/op")},
		{"STS `Issue` by certificate, the message", "ns", is("Signing/RSA-2048/Issue", unit), 10_000, "", nil},
		{"the same, from the token source to the wire, times the key", "x", is("Signing/RSA-2048/Issue-from-source", "x-limit"), 1.1, "", nil},
		{"Automation REST, `SIGN`", "ns", is("Signing/RSA-2048/Automation-REST", unit), 3000, "govmomi", is("peers SignHeader/holder-of-key/5.6KB/govmomi", unit)},
		{"Automation REST, allocations over the key's", "allocs", over("Signing/RSA-2048/Automation-REST", "Signing/RSA-2048/limit:raw", "allocs/op"), 4, "", nil},
		{"Automation JSON-RPC, session create", "ns", is("Signing/RSA-2048/Automation-JSON-RPC", unit), 15_000, "", nil},
		{"Director, `SIGN`", "ns", is("Signing/RSA-2048/Director", unit), 10_000, "", nil},
		{"an RSA key without precomputed values, times one with", "x", is("SigningUnprepared/LoginByToken", "x-limit"), 1.02, "", nil},
		{"reading a token, once", "ns", is("Parse/ParseAssertion", "ns/op"), 100_000, "its tags", is("Parse/limit:RawToken", "ns/op")},
	}
}

func header() []claim {
	const kept, peers = "Compression/7KB/", "peers SignHeader/bearer/5.6KB/"
	return []claim{
		{"bearer, after the first time", "ns", is("Header/5.6KB/Automation-REST", "ns/op"), 15, "govmomi", is(peers+"govmomi", "ns/op")},
		{"the same, allocations", "allocs", is("Header/5.6KB/Automation-REST", "allocs/op"), 0, "govmomi", is(peers+"govmomi", "allocs/op")},
		{"the first time, 7 KB, times a kept writer of level 9", "x", is(kept+"vmsso", "x-limit"), 1.15, "a new writer of level 6", times(kept+"new-writer/level-6", kept+"kept-writer/limit:level-9", "ns/op")},
		{"the same, allocations", "allocs", is(kept+"vmsso", "allocs/op"), 3, "a new writer", is(kept+"new-writer/level-6", "allocs/op")},
		{"the same, 20 KB, size, times klauspost's of level 9", "x", times("Compression/20KB/vmsso", "peers Compression/20KB/klauspost/level-9", "B/out"), 1.02, "", nil},
	}
}

func storm() []claim {
	list := []claim{}
	for _, kind := range []string{"background", "shared-context", "own-context"} {
		row := "Storm/" + kind + "/"
		list = append(list, claim{"release, " + kind + ", times a closed channel", "x", is(row+"vmsso", "x-limit"), 1.15, "closed channel", is(row+"limit:close(chan)", "x-limit")})
	}
	const row = "Storm/background/vmsso"
	return append(list,
		claim{"release, background, times a mutex", "x", times(row, "Storm/deaf/mutex", "ns/waiter"), 0.65, "", nil},
		claim{"allocations of each that waits", "allocs", is(row, "allocs/waiter"), 2, "", nil},
		claim{"bytes of each that waits", "B", is(row, "B/waiter"), 200, "", nil},
		claim{"leaving when the context ends, the slowest of a hundred", "ns", is("StormLeave", "p99-ns/op"), 1e6, "", nil},
	)
}

func hosts() []claim {
	return []claim{
		{"memory of each, one token", "B", is("Hosts/one-token/one-header", "B/host"), 1000, "govmomi's client", is("peers Hosts/govmomi", "B/host")},
		{"the same, Automation", "B", is("Hosts/one-token/Automation", "B/host"), 1000, "", nil},
		{"the same, SOAP", "B", is("Hosts/one-token/SOAP", "B/host"), 1000, "", nil},
		{"own tokens of 5.6 KB, one Authenticator", "B", is("Hosts/own-tokens/Automation", "B/host"), 1000, "", nil},
		{"own tokens and Authenticators", "B", is("Hosts/own-tokens/own-Automation", "B/host"), 1000, "", nil},
		{"goroutines", "goroutines", is("Hosts/one-token/one-header", "goroutines"), 0, "", nil},
	}
}
