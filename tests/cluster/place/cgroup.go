package place

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CgroupRoot is where cgroups are mounted.
const CgroupRoot = "/sys/fs/cgroup"

// CgroupMount is one hierarchy: the only one of cgroup v2, or one controller of v1.
type CgroupMount struct {
	Path string
	// Aliases are links to it, such as cpu to cpu,cpuacct.
	Aliases []string
	unified bool
	cpuset  bool
}

// CgroupMounts lists the hierarchies of the machine that a node has its own cgroup in.
func CgroupMounts() ([]CgroupMount, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var mounts []CgroupMount
	for lines := bufio.NewScanner(file); lines.Scan(); {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		path, kind := strings.Fields(before)[4], strings.Fields(after)[0]
		switch {
		case kind == "cgroup2" && path == CgroupRoot:
			mounts = append(mounts, CgroupMount{Path: path, unified: true})
		case kind == "cgroup" && filepath.Dir(path) == CgroupRoot:
			mounts = append(mounts, CgroupMount{Path: path, Aliases: aliases(path),
				cpuset: strings.Contains(filepath.Base(path), "cpuset")})
		}
	}
	if len(mounts) == 0 {
		return nil, fmt.Errorf("no cgroups are mounted below %s: mount them (in a container, run it with --privileged)", CgroupRoot)
	}
	return mounts, nil
}

// MissingControllers lists the controllers that runc and the kubelet need and the mounts do not have.
func MissingControllers(mounts []CgroupMount) []string {
	var present, needed []string
	for _, m := range mounts {
		if m.unified {
			listed, _ := os.ReadFile(filepath.Join(m.Path, "cgroup.controllers"))
			present = append(present, strings.Fields(string(listed))...)
			needed = []string{"cpu", "cpuset", "memory", "pids"}
		} else {
			present = append(present, strings.Split(filepath.Base(m.Path), ",")...)
		}
	}
	if needed == nil {
		needed = []string{"cpu", "cpuacct", "cpuset", "memory", "pids", "devices", "freezer"}
	}
	return slices.DeleteFunc(needed, func(name string) bool { return slices.Contains(present, name) })
}

func aliases(path string) []string {
	var found []string
	entries, _ := os.ReadDir(CgroupRoot)
	for _, entry := range entries {
		alias := filepath.Join(CgroupRoot, entry.Name())
		if target, err := os.Readlink(alias); err == nil && filepath.Base(target) == filepath.Base(path) {
			found = append(found, alias)
		}
	}
	return found
}

// Dir is the directory of the node's cgroup in the hierarchy.
func (m CgroupMount) Dir(name string) string { return filepath.Join(m.Path, name) }

// Join makes the node's cgroup if need be and moves this process into it.
func (m CgroupMount) Join(name string) error {
	dir := m.Dir(name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make cgroup %s: %w (root needs to write there)", dir, err)
	}
	if m.cpuset { // a new cpuset is empty, and nothing may run in it
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(m.Path, file))
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, file), value, 0o644); err != nil {
				return err
			}
		}
	}
	if m.unified {
		for _, controller := range []string{"+cpu", "+cpuset", "+memory", "+pids", "+io"} {
			// One by one: a machine may lack some, and the kubelet names those that it needs.
			_ = os.WriteFile(filepath.Join(m.Path, "cgroup.subtree_control"), []byte(controller), 0o644)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0o644); err != nil {
		return fmt.Errorf("join cgroup %s: %w", dir, err)
	}
	return nil
}

// RemoveCgroups removes the node's cgroups with all below them; what still runs in them is killed.
func RemoveCgroups(name string) error {
	mounts, err := CgroupMounts()
	if err != nil || name == "" {
		return nil // nothing mounted, nothing made
	}
	for _, m := range mounts {
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			err := removeTree(m.Dir(name))
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				return err
			}
		}
	}
	return nil
}

func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	if procs, err := os.ReadFile(filepath.Join(dir, "cgroup.procs")); err == nil {
		for _, field := range strings.Fields(string(procs)) {
			var pid int
			if _, err := fmt.Sscan(field, &pid); err == nil && pid > 0 {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
	}
	if err := os.Remove(dir); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("remove cgroup %s: %w", dir, err)
	}
	return nil
}
