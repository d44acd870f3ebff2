package image

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReferencesAreWrittenAsTheKubeletAsksForThem(t *testing.T) {
	for given, wanted := range map[string]string{
		"memory:dev":             "docker.io/library/memory:dev",
		"memory":                 "docker.io/library/memory:latest",
		"aeterna/memory:dev":     "docker.io/aeterna/memory:dev",
		"aeterna.dev/memory:dev": "aeterna.dev/memory:dev",
		"localhost/memory":       "localhost/memory:latest",
		"localhost:5000/a/b:1":   "localhost:5000/a/b:1",
		"aeterna.dev:80/memory":  "aeterna.dev:80/memory:latest",
	} {
		if got := Normalise(given); got != wanted {
			t.Errorf("%s became %s, not %s", given, got, wanted)
		}
	}
}

func TestTheSameInputsMakeTheSameDigestAndOthersDoNot(t *testing.T) {
	dir := t.TempDir()
	extra := filepath.Join(dir, "extra")
	write := func(text string) string {
		if err := os.WriteFile(extra, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		digest, err := Write(Spec{Reference: "a:1", Binaries: []string{"/bin/cat"}, Files: []string{extra + ":/extra"}}, filepath.Join(dir, "out.tar"))
		if err != nil {
			t.Fatal(err)
		}
		return digest
	}
	one, same, other := write("one"), write("one"), write("other")
	if one != same || one == other {
		t.Fatalf("digests %s %s %s", one, same, other)
	}
}

func TestABinaryBringsItsLibrariesAndItsLoader(t *testing.T) {
	libraries, err := closure("/bin/cat")
	if err != nil || len(libraries) < 2 {
		t.Fatalf("found %v: %v", libraries, err)
	}
	if _, err := closure("/no/such/binary"); err == nil {
		t.Fatal("a missing binary was accepted")
	}
}

func TestALibraryThatIsLoadedBringsWhatItNeeds(t *testing.T) {
	libraries, err := closure("/bin/cat")
	if err != nil || len(libraries) < 2 {
		t.Fatalf("found %v: %v", libraries, err)
	}
	library := filepath.Join(t.TempDir(), "loaded.so")
	content, err := os.ReadFile("/bin/cat")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(library, content, 0o755); err != nil {
		t.Fatal(err)
	}
	known := inside(libraries[0])
	program, base := map[string]entry{}, map[string]entry{known: {}}
	if err := addClosure(program, base, library); err != nil {
		t.Fatal(err)
	}
	if _, twice := program[known]; twice || len(program) != len(libraries)-1 {
		t.Fatalf("added %v beside %v", program, base)
	}
}
