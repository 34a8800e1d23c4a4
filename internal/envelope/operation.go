package envelope

import "bytes"

// Operation returns the local name of the first element in a SOAP message's
// Body, and "" if there is none in head, the message's first bytes. It reads
// just enough to tell apart the requests of a well-meaning caller; it judges no
// message.
func Operation(head []byte) string {
	inBody := false
	for {
		name, rest, ok := startTag(head)
		switch {
		case !ok:
			return ""
		case inBody:
			return string(name)
		}
		inBody = string(name) == "Body"
		head = rest
	}
}

// startTag returns the local name of the next start tag and what follows its
// name; comments, processing instructions, CDATA and end tags are skipped.
func startTag(b []byte) (name, rest []byte, ok bool) {
	for {
		i := bytes.IndexByte(b, '<')
		if i < 0 {
			return nil, nil, false
		}
		b = b[i+1:]
		var end string
		switch {
		case bytes.HasPrefix(b, []byte("!--")):
			b, end = b[3:], "-->"
		case bytes.HasPrefix(b, []byte("![CDATA[")):
			end = "]]>"
		case bytes.HasPrefix(b, []byte("?")):
			end = "?>"
		case bytes.HasPrefix(b, []byte("/")), bytes.HasPrefix(b, []byte("!")):
			end = ">"
		default:
			n := bytes.IndexAny(b, " \t\r\n/>")
			if n < 0 {
				return nil, nil, false
			}
			name = b[:n]
			return name[bytes.IndexByte(name, ':')+1:], b[n:], true
		}
		i = bytes.Index(b, []byte(end))
		if i < 0 {
			return nil, nil, false
		}
		b = b[i+len(end):]
	}
}
