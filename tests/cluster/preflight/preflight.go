// Package preflight says in one line what a machine lacks, before anything is started on it.
package preflight

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"aeterna.dev/cluster/place"
	"golang.org/x/sys/unix"
)

// tools maps each command that the node needs to its Debian package.
var tools = []struct{ command, pack string }{
	{"containerd", "containerd"}, {"ctr", "containerd"}, {"runc", "runc"},
	{"/usr/lib/cni/bridge", "containernetworking-plugins"}, {"iptables", "iptables"},
	{"nft", "nftables"}, {"conntrack", "conntrack"}, {"ethtool", "ethtool"}, {"ip", "iproute2"},
	{"mount", "mount"}, {"strip", "binutils"}, {"ldd", "libc-bin"},
}

// Check returns why a whole node cannot run here, and the snapshotter that it can use below dir.
func Check(dir string) (snapshotter string, err error) {
	if os.Geteuid() != 0 {
		return "", errors.New("a node needs root: run this with sudo, or use `cluster apiserver`, which does not")
	}
	var missing []string
	for _, tool := range tools {
		if _, err := exec.LookPath(tool.command); err != nil && !strings.Contains(strings.Join(missing, " ")+" ", tool.pack+" ") {
			missing = append(missing, tool.pack)
		}
	}
	if len(missing) > 0 {
		return "", fmt.Errorf("packages are missing: run `apt-get install --yes %s`", strings.Join(missing, " "))
	}
	mounts, err := place.CgroupMounts()
	if err != nil {
		return "", err
	}
	if missing := place.MissingControllers(mounts); len(missing) > 0 {
		return "", fmt.Errorf("the kernel has no cgroup controllers %s: boot with cgroup_enable=memory, or give this container all controllers",
			strings.Join(missing, ", "))
	}
	if err := checkNamespaces(); err != nil {
		return "", err
	}
	if overlayWorks(dir) {
		return "overlayfs", nil
	}
	return "native", nil
}

// checkNamespaces makes a bridge with a veth in a network namespace that ends with its thread.
func checkNamespaces() error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends here
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			result <- fmt.Errorf("this kernel or container allows no network namespace (%w): run it on a machine of its own, or privileged", err)
			return
		}
		for kind, args := range map[string][]string{
			"bridge": {"link", "add", "check0", "type", "bridge"},
			"veth":   {"link", "add", "check1", "type", "veth", "peer", "name", "check2"},
		} {
			if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
				result <- fmt.Errorf("the kernel has no %s devices (%s): load the module with `modprobe %s`",
					kind, strings.TrimSpace(string(out)), kind)
				return
			}
		}
		result <- nil
	}()
	return <-result
}

// overlayWorks mounts an overlay in a mount namespace that ends with its command.
func overlayWorks(dir string) bool {
	if os.MkdirAll(dir, 0o755) != nil {
		return false
	}
	work, err := os.MkdirTemp(dir, ".overlay-*")
	if err != nil {
		return false
	}
	defer os.RemoveAll(work)
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		if os.Mkdir(filepath.Join(work, name), 0o755) != nil {
			return false
		}
	}
	options := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", work)
	command := exec.Command("mount", "-t", "overlay", "overlay", "-o", options, filepath.Join(work, "merged"))
	command.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	return command.Run() == nil
}
