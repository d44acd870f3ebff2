package image

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

const architecture = runtime.GOARCH

// Normalise writes a reference as the kubelet does before it asks containerd for it:
// memory:dev is docker.io/library/memory:dev.
func Normalise(reference string) string {
	host, rest, found := strings.Cut(reference, "/")
	switch {
	case !found:
		reference = "docker.io/library/" + reference
	case !strings.ContainsAny(host, ".:") && host != "localhost":
		reference = "docker.io/" + host + "/" + rest
	}
	if last := reference[strings.LastIndex(reference, "/")+1:]; !strings.ContainsAny(last, ":@") {
		reference += ":latest"
	}
	return reference
}

// ImportArgs are the arguments of ctr that load a tar into the images of the kubelet.
func ImportArgs(socket, snapshotter, tar string) []string {
	return []string{"--address", socket, "--namespace", "k8s.io", "images", "import", "--snapshotter", snapshotter, tar}
}

// Load makes an image and imports it unless containerd has the same one already.
func Load(spec Spec, dir, socket, snapshotter string) (digest string, fresh bool, err error) {
	tar, err := os.CreateTemp(dir, "image-*.tar")
	if err != nil {
		return "", false, err
	}
	tar.Close()
	defer os.Remove(tar.Name())
	if digest, err = Write(spec, tar.Name()); err != nil {
		return "", false, err
	}
	reference := Normalise(spec.Reference)
	present, err := exec.Command("ctr", "--address", socket, "--namespace", "k8s.io",
		"images", "list", "name=="+reference).Output()
	if err == nil && strings.Contains(string(present), digest) {
		return digest, false, nil
	}
	out, err := exec.Command("ctr", ImportArgs(socket, snapshotter, tar.Name())...).CombinedOutput()
	if err != nil {
		return "", false, fmt.Errorf("import %s: %s", filepath.Base(reference), strings.TrimSpace(string(out)))
	}
	return digest, true, nil
}
