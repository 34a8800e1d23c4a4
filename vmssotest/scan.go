package vmssotest

import "bytes"

// operation returns the name of the first child element of the Body of a SOAP message, without its prefix; "" if there is none. It reads no more
// of the message than it must and builds nothing: every ordinary call passes through it. What a login says is decided by the strict parser.
func operation(msg []byte) string {
	depth := 0
	inBody := false
	for {
		i := bytes.IndexByte(msg, '<')
		if i < 0 || i+1 >= len(msg) {
			return ""
		}
		msg = msg[i+1:]
		switch {
		case msg[0] == '/':
			depth--
			msg = after(msg, ">")
			if inBody && depth == 1 {
				return ""
			}
			continue
		case msg[0] == '?':
			msg = after(msg, "?>")
			continue
		case bytes.HasPrefix(msg, []byte("!--")):
			msg = after(msg[3:], "-->")
			continue
		case bytes.HasPrefix(msg, []byte("![CDATA[")):
			msg = after(msg, "]]>")
			continue
		case msg[0] == '!':
			return "" // DOCTYPE
		}
		name, rest, empty := startTag(msg)
		msg = rest
		switch {
		case inBody:
			return name
		case depth == 1 && name == "Body" && !empty:
			inBody = true
		}
		if !empty {
			depth++
		}
	}
}

// startTag reads a start tag of which the "<" has been read.
func startTag(msg []byte) (local string, rest []byte, empty bool) {
	n := bytes.IndexAny(msg, " \t\r\n/>")
	if n <= 0 { // no end, or no name
		return "", nil, false
	}
	name := msg[:n]
	if colon := bytes.IndexByte(name, ':'); colon >= 0 {
		name = name[colon+1:]
	}
	var quote byte
	for i := n; i < len(msg); i++ {
		switch c := msg[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return string(name), msg[i+1:], msg[i-1] == '/'
		}
	}
	return "", nil, false
}

func after(msg []byte, end string) []byte {
	if i := bytes.Index(msg, []byte(end)); i >= 0 {
		return msg[i+len(end):]
	}
	return nil
}

// mentions reports whether the message holds an element of this name anywhere.
func mentions(msg []byte, element string) bool {
	return bytes.Contains(msg, []byte("<"+element)) || bytes.Contains(msg, []byte(":"+element))
}
