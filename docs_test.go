package vmsso_test

import (
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// TestDocuments: what the documents say exists. Links lead somewhere, Go snippets
// stand word for word in a file that is built, and commands can be run.
func TestDocuments(t *testing.T) {
	if _, err := os.Stat("examples/go.mod"); err != nil {
		t.Skip("the nested modules, which the documents speak of, are not part of a downloaded module")
	}
	d, err := readDocuments(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.pages) < 5 || len(d.code) < 100 {
		t.Errorf("only %d documents and %d Go files were found", len(d.pages), len(d.code))
	}
	for _, fault := range d.faults() {
		t.Error(fault)
	}
}

// documents are those of a repository, and what they may speak of.
type documents struct {
	tree  fs.FS
	pages map[string]*page
	code  map[string][]string // the lines of each Go file that say something, trimmed
	goals []string            // of the Makefile
}

// A page is a Markdown file.
type page struct {
	anchors []string
	links   []found
	refs    []found  // the labels of reference-style links
	labels  []string // which are defined, in lower case
	snips   []snippet
	open    bool    // at its end
	runs    []found // commands: inline code, and lines of fenced blocks that are not Go
}

type found struct {
	line int
	text string
}

type snippet struct {
	line  int
	lines []string
}

func readDocuments(tree fs.FS) (*documents, error) {
	d := &documents{tree: tree, pages: map[string]*page{}, code: map[string][]string{}}
	err := fs.WalkDir(tree, ".", func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := e.Name()
		if e.IsDir() {
			if file != "." && (name[0] == '.' || name == "testdata" || name == "bin") {
				return fs.SkipDir
			}
			return nil
		}
		switch {
		case file == "Makefile", path.Ext(name) == ".go", path.Ext(name) == ".md":
		default:
			return nil
		}
		text, err := fs.ReadFile(tree, file)
		switch path.Ext(name) {
		case ".md":
			d.pages[file] = parsePage(string(text))
		case ".go":
			d.code[file] = saying(strings.Split(string(text), "\n"))
		default:
			for _, m := range regexp.MustCompile(`(?m)^([a-z][\w.-]*):([^=]|$)`).FindAllStringSubmatch(string(text), -1) {
				d.goals = append(d.goals, m[1])
			}
		}
		return err
	})
	return d, err
}

// saying returns the lines that are not blank, trimmed.
func saying(lines []string) (s []string) {
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" {
			s = append(s, line)
		}
	}
	return s
}

var (
	fence      = regexp.MustCompile("^\\s*(```+|~~~+)\\s*([^\\s`]*)")
	heading    = regexp.MustCompile(`^ {0,3}#{1,6}\s+(.*?)(\s+#+)?\s*$`)
	definition = regexp.MustCompile(`^ {0,3}\[([^\]]+)\]:\s*<?([^\s>]+)`)
	inlineCode = regexp.MustCompile("(``+|`)(.+?)(``+|`)")
	inlineLink = regexp.MustCompile(`\]\(\s*<?((?:[^()\s<>]|\([^()\s]*\))+)>?(?:\s+["'(][^)]*)?\)`)
	reference  = regexp.MustCompile(`\[([^\[\]]+)\]\[([^\[\]]*)\]`)
	attribute  = regexp.MustCompile(`\b(src|srcset|href|id|name)="([^"\s]+)`)
)

func parsePage(text string) *page {
	p := &page{}
	end, isGo := "", false // what ends the fenced block
	for i, line := range strings.Split(text, "\n") {
		n := i + 1
		m := fence.FindStringSubmatch(line)
		switch {
		case end == "" && m != nil:
			end, isGo = m[1], strings.ToLower(m[2]) == "go" || strings.ToLower(m[2]) == "golang"
			if isGo {
				p.snips = append(p.snips, snippet{line: n})
			}
		case end == "":
			p.prose(n, line)
		case m != nil && m[2] == "" && strings.HasPrefix(m[1], end):
			end = ""
		case isGo:
			s := &p.snips[len(p.snips)-1]
			s.lines = append(s.lines, line)
		default:
			p.runs = append(p.runs, found{n, line})
		}
	}
	p.open = end != ""
	return p
}

// prose reads a line outside fenced blocks.
func (p *page) prose(n int, line string) {
	if m := heading.FindStringSubmatch(line); m != nil {
		p.anchors = append(p.anchors, slug(m[1], p.anchors))
	}
	for _, m := range inlineCode.FindAllStringSubmatch(line, -1) {
		p.runs = append(p.runs, found{n, m[2]})
	}
	line = inlineCode.ReplaceAllString(line, "code")
	if m := definition.FindStringSubmatch(line); m != nil {
		p.labels = append(p.labels, strings.ToLower(m[1]))
		p.links = append(p.links, found{n, m[2]})
		return
	}
	for _, m := range inlineLink.FindAllStringSubmatch(line, -1) {
		p.links = append(p.links, found{n, m[1]})
	}
	for _, m := range reference.FindAllStringSubmatch(line, -1) {
		label := m[2]
		if label == "" {
			label = m[1]
		}
		p.refs = append(p.refs, found{n, label})
	}
	for _, m := range attribute.FindAllStringSubmatch(line, -1) {
		if m[1] == "id" || m[1] == "name" {
			p.anchors = append(p.anchors, m[2])
		} else {
			p.links = append(p.links, found{n, m[2]})
		}
	}
}

// slug is the anchor that GitHub gives a heading: its text in lower case, without
// punctuation, with hyphens for blanks, and numbered where there is one already.
func slug(heading string, before []string) string {
	text := regexp.MustCompile(`!?\[([^\]]*)\](\([^)]*\)|\[[^\]]*\])`).ReplaceAllString(heading, "$1")
	base := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || unicode.In(r, unicode.L, unicode.N, unicode.M, unicode.Pc):
			return r
		}
		return -1
	}, strings.ToLower(strings.TrimSpace(text)))
	s := base
	for n := 1; slices.Contains(before, s); n++ {
		s = base + "-" + strconv.Itoa(n)
	}
	return s
}

// faults are all that is wrong, by file and line.
func (d *documents) faults() (faults []string) {
	for _, name := range slices.Sorted(maps.Keys(d.pages)) {
		p := d.pages[name]
		var here []found
		note := func(line int, says string) {
			if says != "" {
				here = append(here, found{line, says})
			}
		}
		for _, f := range p.links {
			note(f.line, d.link(name, f.text))
		}
		for _, f := range p.refs {
			if !slices.Contains(p.labels, strings.ToLower(f.text)) {
				note(f.line, fmt.Sprintf("nothing defines the link [%s]", f.text))
			}
		}
		for _, f := range p.runs {
			note(f.line, d.command(name, f.text))
		}
		for _, s := range p.snips {
			note(s.line, d.snippet(s))
		}
		if p.open {
			note(0, "a fenced block has no end")
		}
		slices.SortStableFunc(here, func(a, b found) int { return a.line - b.line })
		for _, f := range here {
			faults = append(faults, fmt.Sprintf("%s:%d: %s", name, f.line, f.text))
		}
	}
	faults = append(faults, d.unlisted("examples", "examples/README.md")...)
	return append(faults, d.unlisted("contrib", "README.md")...)
}

// unlisted says which folders of Go files, right below this one, its list does not
// lead to, neither by a link nor by a command. No list is none of its faults.
func (d *documents) unlisted(folder, list string) (faults []string) {
	p := d.pages[list]
	if p == nil {
		return nil
	}
	var all []string
	for file := range d.code {
		if rest, ok := strings.CutPrefix(file, folder+"/"); ok && strings.Contains(rest, "/") {
			name, _, _ := strings.Cut(rest, "/")
			all = append(all, folder+"/"+name)
		}
	}
	slices.Sort(all)
	for _, one := range slices.Compact(all) {
		linked := slices.ContainsFunc(p.links, func(f found) bool { return path.Join(path.Dir(list), f.text) == one })
		if !linked && !slices.ContainsFunc(p.runs, func(f found) bool { return strings.Contains(f.text+" ", one+" ") }) {
			faults = append(faults, fmt.Sprintf("%s: does not lead to %s", list, one))
		}
	}
	return faults
}

// link says what is wrong with a link. One to another site is not looked at.
func (d *documents) link(from, target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return fmt.Sprintf("the link %s cannot be read: %v", target, err)
	}
	if u.Scheme != "" || u.Host != "" {
		return ""
	}
	to := from
	switch {
	case strings.HasPrefix(u.Path, "/"): // of the repository
		to = path.Clean("." + u.Path)
	case u.Path != "":
		to = path.Join(path.Dir(from), u.Path)
	}
	info, err := fs.Stat(d.tree, to)
	if err != nil {
		return fmt.Sprintf("the link %s leads to no file", target)
	}
	if u.Fragment == "" {
		return ""
	}
	if info.IsDir() {
		to = path.Join(to, "README.md")
	}
	if p := d.pages[to]; p == nil || !slices.Contains(p.anchors, u.Fragment) {
		return fmt.Sprintf("the link %s leads to no heading of %s", target, to)
	}
	return ""
}

var (
	makes = regexp.MustCompile(`(?:^|[;&|]|\$)\s*make((?:[ \t]+[\w=.,'-]+)*)`)
	goes  = regexp.MustCompile(`\bgo (?:run|test|build|vet|install|generate|doc)\b[^;&|]*`)
	local = regexp.MustCompile(`(?:^|\s)\./[^\s]*`)
)

// command says what a command needs that is not there: a target of the Makefile,
// or a folder, which counts from the root or from the document's folder.
func (d *documents) command(from, text string) string {
	text, _, _ = strings.Cut(text, " #") // a comment
	for _, m := range makes.FindAllStringSubmatch(text, -1) {
		for _, word := range strings.Fields(m[1]) {
			if !strings.ContainsAny(word, "=") && word[0] != '-' && !slices.Contains(d.goals, word) {
				return fmt.Sprintf("the Makefile has no target %s", word)
			}
		}
	}
	for _, command := range goes.FindAllString(text, -1) {
		for _, word := range local.FindAllString(command, -1) {
			word = strings.TrimSpace(word)
			if !d.hasGo(word) && !d.hasGo(path.Join(path.Dir(from), word)) {
				return fmt.Sprintf("there is no Go file in %s", word)
			}
		}
	}
	return ""
}

// hasGo tells whether there are Go files that fit a pattern, such as "./bench" or
// "./...".
func (d *documents) hasGo(pattern string) bool {
	folder, below := strings.CutSuffix(path.Clean(pattern), "...")
	for file := range d.code {
		if below && strings.HasPrefix(file, folder) || path.Dir(file) == folder || file == folder {
			return true
		}
	}
	return false
}

// snippet says which line of a snippet is not in the Go file that has most of it.
func (d *documents) snippet(s snippet) string {
	if len(saying(s.lines)) == 0 {
		return "the snippet is empty"
	}
	most, at, where := -1, 0, ""
	for file, code := range d.code {
		n := matched(s.lines, code)
		if n == len(s.lines) {
			return ""
		}
		if n > most || n == most && file < where {
			most, at, where = n, n, file
		}
	}
	lacks := fmt.Sprintf("line %d: %s", s.line+1+at, strings.TrimSpace(s.lines[at]))
	if len(saying(s.lines[:at])) == 0 {
		return "no Go file has " + lacks
	}
	return fmt.Sprintf("no Go file has this snippet; the nearest, %s, lacks %s", where, lacks)
}

// matched returns how many lines of a snippet, from its beginning, stand in the
// code: in this order, without others between them, except where the snippet has
// a line that is only "…". Blanks around lines, and blank lines, do not count.
func matched(snippet, code []string) int {
	best := 0
	// The first place of each part leaves most of the code for the parts after it.
	for done, from := 0, 0; ; {
		part := snippet[done:]
		if gap := slices.IndexFunc(part, isGap); gap >= 0 {
			part = part[:gap+1]
		}
		next := -1
		for start := from; start <= len(code); start++ {
			n, used := agree(part, code[start:])
			best = max(best, done+n)
			if n == len(part) {
				next = start + used
				break
			}
		}
		if done += len(part); next < 0 || done == len(snippet) {
			return best
		}
		from = next
	}
}

// agree returns how many lines of the part agree with the code's beginning, and
// how many lines of that they are.
func agree(part, code []string) (n, used int) {
	for _, line := range part {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || isGap(line):
		case used < len(code) && code[used] == line:
			used++
		default:
			return n, used
		}
		n++
	}
	return n, used
}

func isGap(line string) bool { return strings.TrimSpace(line) == "…" }
