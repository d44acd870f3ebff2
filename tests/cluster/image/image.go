// Package image makes container images from binaries of this machine without a registry: a layer
// with the libraries that they are linked to, a layer with the binaries, a configuration and a
// manifest, in one tar that `ctr images import` takes. The same inputs make the same digest.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Spec says what an image holds.
type Spec struct {
	Reference string
	// Binaries go to /usr/local/bin; the first one is the entrypoint unless another is given.
	Binaries []string
	// Files are SOURCE:TARGET; a source may be a directory. A shared library brings what it is linked to.
	Files      []string
	Entrypoint []string
	Env        []string
	// Bare leaves out everything but the binaries: no certificates, no /tmp, no users.
	Bare bool
}

// NonRoot is the user of every image that is not bare.
const NonRoot = "65532:65532"

const searchPath = "PATH=/usr/local/bin:/usr/bin:/bin"

// Write makes the tar of an image and returns the digest of its manifest.
func Write(spec Spec, file string) (digest string, err error) {
	if len(spec.Binaries) == 0 {
		return "", fmt.Errorf("image %s: give at least one --binary", spec.Reference)
	}
	work, err := os.MkdirTemp(filepath.Dir(file), ".image-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	base, program, err := contents(spec, work)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", spec.Reference, err)
	}
	var layers []layer
	for i, entries := range []map[string]entry{base, program} {
		if len(entries) == 0 {
			continue
		}
		made, err := writeLayer(filepath.Join(work, fmt.Sprintf("layer%d", i)), entries)
		if err != nil {
			return "", fmt.Errorf("image %s: %w", spec.Reference, err)
		}
		layers = append(layers, made)
	}
	return writeArchive(spec, layers, file)
}

// contents sorts what the image holds into what several images share and what is its own.
func contents(spec Spec, work string) (base, program map[string]entry, err error) {
	base, program = map[string]entry{}, map[string]entry{}
	for _, binary := range spec.Binaries {
		libraries, err := closure(binary)
		if err != nil {
			return nil, nil, err
		}
		for _, library := range libraries {
			base[inside(library)] = entry{source: library, mode: 0o755}
		}
		stripped := filepath.Join(work, filepath.Base(binary))
		// A binary that cannot be stripped is packed as it is.
		if out, err := exec.Command("strip", "-o", stripped, binary).CombinedOutput(); err != nil {
			if _, missing := os.Stat(binary); missing != nil {
				return nil, nil, missing
			}
			fmt.Fprintf(os.Stderr, "%s is not stripped: %s\n", binary, bytes.TrimSpace(out))
			stripped = binary
		}
		program[inside("/usr/local/bin/"+filepath.Base(binary))] = entry{source: stripped, mode: 0o755}
	}
	if !spec.Bare {
		base["tmp"] = entry{mode: 0o1777}
		base["etc/passwd"] = entry{mode: 0o644, text: "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n"}
		base["etc/group"] = entry{mode: 0o644, text: "root:x:0:\nnonroot:x:65532:\n"}
		base["etc/nsswitch.conf"] = entry{mode: 0o644, text: "hosts: files dns\n"}
		const roots = "etc/ssl/certs/ca-certificates.crt"
		if _, err := os.Stat("/" + roots); err == nil {
			base[roots] = entry{source: "/" + roots, mode: 0o644}
		}
	}
	for _, pair := range spec.Files {
		source, target, found := strings.Cut(pair, ":")
		if !found || !strings.HasPrefix(target, "/") {
			return nil, nil, fmt.Errorf("--file %q: use SOURCE:/ABSOLUTE/TARGET", pair)
		}
		if err := addTree(program, source, target); err != nil {
			return nil, nil, err
		}
		if strings.HasSuffix(source, ".so") {
			if err := addClosure(program, base, source); err != nil {
				return nil, nil, err
			}
		}
	}
	return base, program, nil
}

// addClosure adds what a library that is loaded at run time needs and the base lacks.
func addClosure(program, base map[string]entry, library string) error {
	needed, err := closure(library)
	if err != nil {
		return err
	}
	for _, path := range needed {
		if _, found := base[inside(path)]; !found {
			program[inside(path)] = entry{source: path, mode: 0o755}
		}
	}
	return nil
}

var libraryPath = regexp.MustCompile(`(?:=> )?(/\S+) \(0x`)

// closure lists the shared libraries of a binary and its loader; a static binary has none.
func closure(binary string) ([]string, error) {
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("%s: %w", binary, err)
	}
	out, _ := exec.Command("ldd", binary).CombinedOutput() // fails for a static binary
	if lines := string(out); strings.Contains(lines, "not found") {
		return nil, fmt.Errorf("a library of %s is missing: %s", binary, strings.TrimSpace(lines))
	}
	var libraries []string
	for _, match := range libraryPath.FindAllStringSubmatch(string(out), -1) {
		libraries = append(libraries, match[1])
	}
	return libraries, nil
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// writeArchive lays out the image as OCI prescribes.
func writeArchive(spec Spec, layers []layer, file string) (string, error) {
	out, err := os.Create(file)
	if err != nil {
		return "", err
	}
	defer out.Close()
	archive := tar.NewWriter(out)
	var described []descriptor
	var ids []string
	for _, l := range layers {
		described = append(described, descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar", Digest: l.digest, Size: l.size})
		ids = append(ids, l.digest)
		content, err := os.Open(l.file)
		if err != nil {
			return "", err
		}
		err = addFile(archive, blob(l.digest), l.size, content)
		content.Close()
		if err != nil {
			return "", err
		}
	}
	config, err := addJSON(archive, configuration(spec, ids))
	if err != nil {
		return "", err
	}
	config.MediaType = "application/vnd.oci.image.config.v1+json"
	const manifestType = "application/vnd.oci.image.manifest.v1+json"
	manifest, err := addJSON(archive, map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": described})
	if err != nil {
		return "", err
	}
	manifest.MediaType = manifestType
	manifest.Annotations = map[string]string{"io.containerd.image.name": Normalise(spec.Reference)}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []descriptor{manifest}})
	if err != nil {
		return "", err
	}
	for name, text := range map[string]string{"index.json": string(index), "oci-layout": `{"imageLayoutVersion":"1.0.0"}`} {
		if err := addFile(archive, name, int64(len(text)), strings.NewReader(text)); err != nil {
			return "", err
		}
	}
	return manifest.Digest, archive.Close()
}

func configuration(spec Spec, layers []string) map[string]any {
	entrypoint := spec.Entrypoint
	if len(entrypoint) == 0 {
		entrypoint = []string{"/usr/local/bin/" + filepath.Base(spec.Binaries[0])}
	}
	config := map[string]any{"Entrypoint": entrypoint, "Env": append([]string{searchPath}, spec.Env...)}
	if !spec.Bare {
		config["User"], config["WorkingDir"] = NonRoot, "/"
	}
	return map[string]any{
		"architecture": architecture, "os": "linux", "config": config,
		"rootfs": map[string]any{"type": "layers", "diff_ids": layers},
	}
}

func blob(digest string) string { return "blobs/sha256/" + strings.TrimPrefix(digest, "sha256:") }

func addJSON(archive *tar.Writer, value any) (descriptor, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return descriptor{}, err
	}
	sum := sha256.Sum256(text)
	d := descriptor{Digest: "sha256:" + hex.EncodeToString(sum[:]), Size: int64(len(text))}
	return d, addFile(archive, blob(d.Digest), d.Size, bytes.NewReader(text))
}

func addFile(archive *tar.Writer, name string, size int64, content io.Reader) error {
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size}); err != nil {
		return err
	}
	_, err := io.Copy(archive, content)
	return err
}
