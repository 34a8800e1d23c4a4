package main

import (
	"os"
	"strings"
	"testing"
)

// TestReadmeShowsThisProgram: what the README shows compiles.
func TestReadmeShowsThisProgram(t *testing.T) {
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, body, ok := strings.Cut(string(program), "func main() {")
	if !ok || !strings.Contains(string(readme), "func main() {"+body) {
		t.Error("README.md does not hold main.go's function main word for word")
	}
}
