package keeper

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"aeterna.dev/cluster/netns"
	"aeterna.dev/cluster/node"
	"aeterna.dev/cluster/place"
	"golang.org/x/sys/unix"
)

// Down ends the cluster of a name and removes all of it. It reports false when there is none.
func Down(name string) (bool, error) {
	record, err := place.Find(name)
	if errors.Is(err, place.ErrNoCluster) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	record.Keeper.Signal(unix.SIGTERM)
	if !record.Keeper.WaitGone(stopLimit + 10*time.Second) {
		record.Keeper.Signal(unix.SIGKILL)
		record.Keeper.WaitGone(5 * time.Second)
	}
	return true, Sweep(record)
}

// Sweep removes what a cluster leaves; its keeper may be the caller. It can be repeated.
func Sweep(record place.Record) error {
	return place.WithLock(func() error {
		// Another cluster may have the name by now.
		now, err := place.Load(record.Dir)
		if err != nil || now.Keeper.PID != record.Keeper.PID {
			return nil
		}
		return sweep(now)
	})
}

// sweep removes the most dangerous remains first, and the record last of all, so that what fails
// can be tried again.
func sweep(record place.Record) error {
	record.Supervisor.Signal(unix.SIGKILL)
	if !record.Supervisor.WaitGone(10 * time.Second) {
		return fmt.Errorf("process %d of %s does not end", record.Supervisor.PID, record.Name)
	}
	if record.Kind == place.Node {
		if err := place.RemoveCgroups(record.Cgroup); err != nil {
			return err
		}
		if err := netns.Delete(record.Netns); err != nil {
			return err
		}
		if err := unmountBelow(record.Dir); err != nil {
			return err
		}
		if place.Others(record.Name) == 0 {
			for _, dir := range node.HardWiredDirs {
				_ = os.Remove(dir) // only if it is empty
			}
		}
	}
	if err := os.RemoveAll(record.Dir); err != nil {
		return fmt.Errorf("remove the directory of %s: %w", record.Name, err)
	}
	_ = os.Remove(filepath.Join(place.Base(), record.Name))
	return nil
}

// unmountBelow detaches mounts that somebody made in the directory: to remove files through them
// would be somebody else's loss.
func unmountBelow(dir string) error {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		path := strings.Fields(lines.Text())[4]
		if !strings.HasPrefix(path, dir+"/") {
			continue
		}
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", path, err)
		}
	}
	return nil
}
