package node

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"aeterna.dev/cluster/place"
	"golang.org/x/sys/unix"
)

// HardWiredDirs are directories of the machine that the kubelet, containerd and CNI use whatever
// they are configured to. The node sees an empty one of its own over each.
var HardWiredDirs = []string{"/var/lib/kubelet", "/var/lib/cni", "/var/log/containers"}

// hostSettings are the kernel settings of the whole machine that a kubelet wants to change, with
// the value that it wants. It finds files that say so, and the machine stays as it is.
var hostSettings = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// Enter turns this process, the first one of new network, mount and process namespaces, into the
// node's: its own cgroups as the root of a cgroup namespace, its own /proc and /run, and no way to
// leave a mount on the machine. It then becomes the command argv and does not return.
func Enter(record place.Record, argv []string) error {
	runtime.LockOSThread()
	groups, err := place.CgroupMounts()
	if err != nil {
		return err
	}
	for _, group := range groups {
		if err := group.Join(record.Cgroup); err != nil {
			return err
		}
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("make a cgroup namespace: %w (the kernel needs CONFIG_CGROUPS)", err)
	}
	for _, step := range []func() error{
		func() error { return mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") },
		func() error { return mount("proc", "/proc", "proc", 0, "") },
		func() error { return mount("tmpfs", "/run", "tmpfs", 0, "mode=755") },
		hideHardWiredDirs,
		hideHostSettings,
		func() error { return moveCgroups(groups, record.Cgroup) },
		// Volumes that are mounted later must show up in running containers.
		func() error { return mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "") },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return unix.Exec(argv[0], argv, os.Environ())
}

func mount(source, target, kind string, flags uintptr, options string) error {
	if err := unix.Mount(source, target, kind, flags, options); err != nil {
		return fmt.Errorf("mount %s on %s: %w", source, target, err)
	}
	return nil
}

func hideHardWiredDirs() error {
	for _, dir := range HardWiredDirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
			return err
		}
	}
	return nil
}

func hideHostSettings() error {
	for name, value := range hostSettings {
		setting := filepath.Join("/proc/sys", name)
		if _, err := os.Stat(setting); err != nil {
			continue // this kernel does not have it
		}
		file := filepath.Join("/run/settings", strings.ReplaceAll(name, "/", "."))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := mount(file, setting, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	return nil
}

// moveCgroups replaces /sys/fs/cgroup by one that holds the node's cgroups only.
func moveCgroups(groups []place.CgroupMount, name string) error {
	const aside = "/run/cgroup"
	for i, group := range groups {
		held := fmt.Sprintf("%s/%d", aside, i)
		if err := os.MkdirAll(held, 0o755); err != nil {
			return err
		}
		if err := mount(group.Dir(name), held, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	if err := unix.Unmount(place.CgroupRoot, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach %s: %w", place.CgroupRoot, err)
	}
	unified := len(groups) == 1 && groups[0].Path == place.CgroupRoot
	if !unified {
		if err := mount("tmpfs", place.CgroupRoot, "tmpfs", 0, "mode=755"); err != nil {
			return err
		}
	}
	for i, group := range groups {
		if err := os.MkdirAll(group.Path, 0o755); err != nil {
			return err
		}
		if err := mount(fmt.Sprintf("%s/%d", aside, i), group.Path, "", unix.MS_MOVE, ""); err != nil {
			return err
		}
		for _, alias := range group.Aliases {
			if err := os.Symlink(filepath.Base(group.Path), alias); err != nil {
				return err
			}
		}
	}
	if !unified {
		return nil
	}
	// With cgroup v2 a cgroup holds processes or children with controllers, never both.
	leaf := filepath.Join(place.CgroupRoot, "programs")
	if err := os.Mkdir(leaf, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte("0"), 0o644)
}
