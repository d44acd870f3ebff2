// Package netns works in a network namespace from outside of it: it makes and removes one, opens
// connections in it and runs a command in it. It never touches the addresses of the machine.
package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Path is the file that `nsenter --net=` takes.
func Path(name string) string { return "/run/netns/" + name }

// Create makes a named namespace.
func Create(name string) error {
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		return fmt.Errorf("make network namespace %s: %s", name, strings.TrimSpace(string(out)))
	}
	return nil
}

// Delete ends every process in the namespace and removes its name. It is no error that there is none.
func Delete(name string) error {
	if _, err := os.Stat(Path(name)); err != nil {
		return nil
	}
	endProcesses(name)
	if out, err := exec.Command("ip", "netns", "delete", name).CombinedOutput(); err != nil {
		return fmt.Errorf("remove network namespace %s: %s", name, strings.TrimSpace(string(out)))
	}
	return nil
}

// In runs act on a thread that is in the namespace. Sockets that act opens stay in it.
func In(name string, act func() error) error {
	done := make(chan error, 1)
	go func() {
		// Not unlocked: the runtime ends the thread with the goroutine, so that no other work
		// ever runs in the wrong namespace.
		runtime.LockOSThread()
		if err := join(name); err != nil {
			done <- err
			return
		}
		done <- act()
	}()
	return <-done
}

// Visit runs act in the namespace on the calling thread, which must be locked, and comes back.
func Visit(name string, act func() error) error {
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	if err := join(name); err != nil {
		return err
	}
	err = act()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return fmt.Errorf("leave network namespace %s: %w", name, back)
	}
	return err
}

// Dial connects from inside of the namespace to a literal address.
func Dial(name, address string) (net.Conn, error) {
	var conn net.Conn
	err := In(name, func() (err error) {
		dialer := net.Dialer{Timeout: 10 * time.Second, FallbackDelay: -1}
		conn, err = dialer.DialContext(context.Background(), "tcp4", address)
		return err
	})
	return conn, err
}

// Exec replaces this process by a command in the namespace; it returns only when that fails.
func Exec(name string, argv []string) error {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := join(name); err != nil {
		return err
	}
	return unix.Exec(path, argv, os.Environ())
}

func join(name string) error {
	file, err := os.Open(Path(name))
	if err != nil {
		return fmt.Errorf("open network namespace %s: %w", name, err)
	}
	defer file.Close()
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", name, err)
	}
	return nil
}

// endProcesses asks the processes in the namespace to end, and after 3 s makes them.
func endProcesses(name string) {
	var inside unix.Stat_t
	if unix.Stat(Path(name), &inside) != nil {
		return
	}
	signal := unix.SIGTERM
	for deadline := time.Now().Add(3 * time.Second); ; time.Sleep(30 * time.Millisecond) {
		pids := processesIn(inside.Ino)
		if len(pids) == 0 || time.Now().After(deadline.Add(3*time.Second)) {
			return
		}
		if time.Now().After(deadline) {
			signal = unix.SIGKILL
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, signal)
		}
	}
}

func processesIn(inode uint64) []int {
	var pids []int
	links, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || target != fmt.Sprintf("net:[%d]", inode) {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(link, "/")[2]); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// ErrTaken is returned by CheckFree for a name that is in use.
var ErrTaken = errors.New("network namespace is taken")

// CheckFree refuses a name that some other program made.
func CheckFree(name string) error {
	if _, err := os.Stat(Path(name)); err == nil {
		return fmt.Errorf("%s: %w: choose another --name, or remove it with `ip netns delete %s`", name, ErrTaken, name)
	}
	return nil
}
