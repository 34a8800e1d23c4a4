package faults_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A row is one line of the tables of README.md.
type row struct {
	item int
	test string
}

// readTables returns the rows of all tables in their order. A line that looks like a row but is none is an error: it would go unchecked.
func readTables(text string) (rows []row, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || line == "| item | fault | test |" || line == "| --- | --- | --- |" {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 3 || strings.TrimSpace(cells[1]) == "" {
			return nil, fmt.Errorf("row %q has not the three columns item, fault and test", line)
		}
		item, err := strconv.Atoi(strings.TrimSpace(cells[0]))
		if err != nil {
			return nil, fmt.Errorf("row %q begins with no number", line)
		}
		rows = append(rows, row{item, strings.Trim(strings.TrimSpace(cells[2]), "`")})
	}
	return rows, nil
}

// readTests returns the tests of the package with their comments, but for those of the table itself.
func readTests() (map[string]string, error) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		return nil, err
	}
	tests := map[string]string{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, decl := range f.Decls {
			d, ok := decl.(*ast.FuncDecl)
			if ok && d.Recv == nil && strings.HasPrefix(d.Name.Name, "Test") && d.Name.Name != "TestMain" && !strings.HasPrefix(d.Name.Name, "TestTable") {
				tests[d.Name.Name] = strings.TrimSpace(d.Doc.Text())
			}
		}
	}
	return tests, nil
}

// checkTables returns what is wrong with the tables.
func checkTables(rows []row, tests map[string]string) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	listed := map[string]bool{}
	last := 0
	for _, r := range rows {
		if r.item <= last {
			say("item %d follows %d: items are sorted, and none comes twice", r.item, last)
		}
		last = r.item
		doc, ok := tests[r.test]
		switch {
		case listed[r.test]:
			say("item %d: %s is the test of another item already", r.item, r.test)
		case !ok:
			say("item %d: there is no %s", r.item, r.test)
		case !strings.HasPrefix(doc, fmt.Sprintf("Fault %d:", r.item)):
			say("item %d: the comment of %s begins otherwise than with %q: %q", r.item, r.test, fmt.Sprintf("Fault %d:", r.item), doc)
		}
		listed[r.test] = true
	}
	for name := range tests {
		if !listed[name] {
			say("%s is in no table", name)
		}
	}
	return wrong
}

func TestTableNamesEveryTest(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := readTables(string(text))
	if err != nil {
		t.Fatal(err)
	}
	tests, err := readTests()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range checkTables(rows, tests) {
		t.Error(w)
	}
}

func TestTableIsFoundWrong(t *testing.T) {
	tests := map[string]string{"TestA": "Fault 1: x.", "TestB": "Fault 2: y."}
	for _, tc := range []struct {
		name, table string
		problems    int // -1: it cannot be read
	}{
		{"right", "| item | fault | test |\n| --- | --- | --- |\n| 1 | x | `TestA` |\n| 2 | y | `TestB` |\n", 0},
		{"a test in no table", "| 1 | x | `TestA` |\n", 1},
		{"a test that does not exist", "| 1 | x | `TestA` |\n| 2 | y | `TestB` |\n| 3 | z | `TestC` |\n", 1},
		{"a test twice", "| 1 | x | `TestA` |\n| 2 | y | `TestB` |\n| 3 | z | `TestB` |\n", 1},
		{"an item twice", "| 1 | x | `TestA` |\n| 1 | y | `TestB` |\n", 2},
		{"items not sorted", "| 2 | y | `TestB` |\n| 1 | x | `TestA` |\n", 1},
		{"tests changed over", "| 1 | x | `TestB` |\n| 2 | y | `TestA` |\n", 2},
		{"no number", "| one | x | `TestA` |\n", -1},
		{"two columns", "| 1 | `TestA` |\n", -1},
	} {
		rows, err := readTables(tc.table)
		got := -1
		if err == nil {
			got = len(checkTables(rows, tests))
		}
		if got != tc.problems {
			t.Errorf("%s: %d problems (%v), want %d", tc.name, got, err, tc.problems)
		}
	}
}
