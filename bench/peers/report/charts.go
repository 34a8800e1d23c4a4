package main

import "fmt"

// charts are all of them.
func (r *results) charts(about string) []chart {
	list := []chart{r.signing(), r.size(), r.throughput(), r.request(), r.storm(), r.memory()}
	for i := range list {
		list[i].about = about
	}
	return list
}

func (r *results) signing() chart {
	c := chart{file: "signing.svg", title: "A LoginByToken message: time over the raw operation of the key", unit: "ns", limit: "the goal, 10 µs. The limit, nothing over the key, is where the bars begin"}
	for _, key := range []string{"RSA-2048", "RSA-3072", "RSA-4096", "P-256", "P-384"} {
		row := "peers LoginMessage/" + key + "/"
		g := group{label: fmt.Sprintf("%s: the key alone takes %s", key, show(is(row+"limit:raw", "ns/op")(r), "ns")), limit: 10_000}
		for _, name := range []string{"vmsso", "govmomi", "etree+goxmldsig"} {
			if _, there := r.rows[row+name]; there {
				g.bars = append(g.bars, bar{name, name == "vmsso", is(row+name, "over-ns/op")(r)})
			}
		}
		c.groups = append(c.groups, g)
	}
	return c
}

// compression is a group of bars for each size of the assertion.
func (r *results) compression(c chart, unit string) chart {
	for _, size := range []string{"4KB", "7KB", "20KB", "100KB"} {
		own, peers := "Compression/"+size+"/", "peers Compression/"+size+"/"
		g := group{label: "an assertion of " + size, limit: is(own+"kept-writer/limit:level-9", unit)(r)}
		g.bars = append(g.bars, bar{"vmsso", true, is(own+"vmsso", unit)(r)})
		if unit == "MB/s" {
			g.bars = append(g.bars, bar{"new writer, level 6", false, is(own+"new-writer/level-6", unit)(r)})
		}
		for _, lib := range []string{"compress/gzip", "klauspost"} {
			for _, level := range []string{"1", "6", "9"} {
				g.bars = append(g.bars, bar{lib + ", level " + level, false, is(peers+lib+"/level-"+level, unit)(r)})
			}
		}
		c.groups = append(c.groups, g)
	}
	return c
}

func (r *results) size() chart {
	return r.compression(chart{file: "size.svg", title: "The SIGN header: length of the token in it", unit: "B", limit: "compress/gzip, level 9"}, "B/out")
}

func (r *results) throughput() chart {
	return r.compression(chart{file: "throughput.svg", title: "The SIGN header: compression of the token", unit: "MB/s", limit: "a kept writer of level 9, and base64. More is better"}, "MB/s")
}

func (r *results) request() chart {
	c := chart{file: "request.svg", title: "One request in a session that exists: time over the base transport", unit: "ns", limit: "the least that keeps the contract of http.RoundTripper"}
	const row = "peers Request/"
	g := group{label: "4 headers", limit: over(row+"limit:maps.Clone", row+"limit:base", "ns/op")(r)}
	for _, name := range []string{"vmsso", "req.Clone", "oauth2", "retryablehttp"} {
		g.bars = append(g.bars, bar{name, name == "vmsso", over(row+name, row+"limit:base", "ns/op")(r)})
	}
	c.groups = append(c.groups, g)
	return c
}

func (r *results) storm() chart {
	c := chart{file: "storm.svg", title: "10,000 goroutines wait for one login: time for each, once it is there", unit: "ns", limit: "a closed channel, with the same kind of context"}
	for _, kind := range []string{"background", "shared-context", "own-context"} {
		row := "Storm/" + kind + "/"
		g := group{label: kind, limit: is(row+"limit:close(chan)", "ns/waiter")(r), bars: []bar{{"vmsso", true, is(row+"vmsso", "ns/waiter")(r)}}}
		if kind == "background" {
			g.bars = append(g.bars, bar{"mutex", false, is("Storm/deaf/mutex", "ns/waiter")(r)})
		}
		c.groups = append(c.groups, g)
	}
	return c
}

func (r *results) memory() chart {
	c := chart{file: "memory.svg", title: "10,000 hosts: memory of each that is logged in, without connections", unit: "B", limit: "a session with its ID, and nothing else"}
	limit := is("Hosts/limit:session-ID", "B/host")(r)
	add := func(label string, bars ...bar) { c.groups = append(c.groups, group{label, limit, bars}) }
	own := func(label, row string) bar { return bar{label, true, is("Hosts/"+row, "B/host")(r)} }
	add("one token for all",
		own("vmsso", "one-token/one-header"), own("vmsso, Automation", "one-token/Automation"), own("vmsso, SOAP", "one-token/SOAP"),
		bar{"govmomi's client", false, is("peers Hosts/govmomi", "B/host")(r)},
		bar{"oauth2", false, is("peers Hosts/oauth2", "B/host")(r)})
	add("a token of 5.6 KB for each", own("one Authenticator", "own-tokens/Automation"), own("Authenticator for each", "own-tokens/own-Automation"))
	return c
}
