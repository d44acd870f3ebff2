package image

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// layer is a tar in a file, with the digest that is its name in an image.
type layer struct {
	file   string
	digest string
	size   int64
}

// entry is one path of a layer: a directory when there is no source and no text.
type entry struct {
	source string
	text   string
	mode   int64
}

// writeLayer packs entries in the order of their paths with no time and no owner, so that the same
// files always make the same digest.
func writeLayer(file string, entries map[string]entry) (layer, error) {
	out, err := os.Create(file)
	if err != nil {
		return layer{}, err
	}
	defer out.Close()
	sum := &digester{hash: sha256.New(), out: out}
	packed := tar.NewWriter(sum)
	for _, path := range withParents(entries) {
		if err := writeEntry(packed, path, entries[path]); err != nil {
			return layer{}, fmt.Errorf("pack /%s: %w", path, err)
		}
	}
	if err := packed.Close(); err != nil {
		return layer{}, err
	}
	return layer{file: file, digest: "sha256:" + hex.EncodeToString(sum.hash.Sum(nil)), size: sum.size}, nil
}

func writeEntry(packed *tar.Writer, path string, e entry) error {
	header := &tar.Header{Name: path, Mode: e.mode, Format: tar.FormatPAX}
	switch {
	case e.source != "":
		file, err := os.Open(e.source)
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		header.Typeflag, header.Size = tar.TypeReg, info.Size()
		if header.Mode == 0 {
			header.Mode = int64(info.Mode().Perm() | 0o444)
		}
		if err := packed.WriteHeader(header); err != nil {
			return err
		}
		_, err = io.Copy(packed, file)
		return err
	case e.text != "":
		header.Typeflag, header.Size = tar.TypeReg, int64(len(e.text))
		if err := packed.WriteHeader(header); err != nil {
			return err
		}
		_, err := io.WriteString(packed, e.text)
		return err
	default:
		header.Typeflag, header.Name = tar.TypeDir, path+"/"
		if header.Mode == 0 {
			header.Mode = 0o755
		}
		return packed.WriteHeader(header)
	}
}

// withParents lists the paths and every directory above them, sorted.
func withParents(entries map[string]entry) []string {
	seen := map[string]bool{}
	for path := range entries {
		for ; path != "." && !seen[path]; path = filepath.Dir(path) {
			seen[path] = true
		}
	}
	paths := make([]string, 0, len(seen))
	for path := range seen {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	return paths
}

// addTree adds a file, or all files below a directory, at a path of the image.
func addTree(entries map[string]entry, source, target string) error {
	return filepath.Walk(source, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		at := inside(filepath.Join(target, relative))
		if info.IsDir() {
			entries[at] = entry{mode: 0o755}
		} else {
			entries[at] = entry{source: path}
		}
		return nil
	})
}

// inside turns an absolute path into the form that a tar has.
func inside(path string) string { return strings.TrimPrefix(filepath.Clean("/"+path), "/") }

type digester struct {
	hash hash.Hash
	out  io.Writer
	size int64
}

func (d *digester) Write(bytes []byte) (int, error) {
	d.hash.Write(bytes)
	d.size += int64(len(bytes))
	return d.out.Write(bytes)
}
