// Package live holds the tests that start real clusters with the built command and look at the
// machine afterwards. `make -C tests/cluster test` builds the command and runs them; they need root.
package live

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cluster is a cluster of one test, in a registry of names of the test's own.
type cluster struct {
	t          *testing.T
	name, home string
}

// newCluster names a cluster and makes sure that nothing of it outlives the test.
func newCluster(t *testing.T, name string) *cluster {
	t.Helper()
	// Not t.TempDir: its paths are too long for a socket.
	home, err := os.MkdirTemp("", "cl")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, name: fmt.Sprintf("%s-%d", name, os.Getpid()), home: home}
	t.Cleanup(func() {
		c.try("down")
		_ = os.RemoveAll(home)
	})
	return c
}

func (c *cluster) command(verb string, args ...string) *exec.Cmd {
	c.t.Helper()
	binary := os.Getenv("CLUSTER_BIN")
	if binary == "" {
		c.t.Fatal("CLUSTER_BIN is not set: run these tests with `make -C tests/cluster test`")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	c.t.Cleanup(cancel)
	command := exec.CommandContext(ctx, binary, append([]string{verb, "--name", c.name}, args...)...)
	command.Env = append(os.Environ(), "AETERNA_CLUSTER_HOME="+c.home)
	return command
}

// try runs a command and returns its standard output, its standard error and whether it failed.
func (c *cluster) try(verb string, args ...string) (out, said string, err error) {
	c.t.Helper()
	command := c.command(verb, args...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err = command.Run()
	return strings.TrimSpace(stdout.String()), stderr.String(), err
}

// run is try for a command that must succeed.
func (c *cluster) run(verb string, args ...string) string {
	c.t.Helper()
	out, said, err := c.try(verb, args...)
	if err != nil {
		c.t.Fatalf("cluster %s %v: %v\n%s%s", verb, args, err, said, out)
	}
	return out
}

// kubectl runs kubectl on the cluster from outside of it.
func (c *cluster) kubectl(input string, args ...string) (string, error) {
	c.t.Helper()
	command := exec.Command(os.Getenv("CLUSTER_BIN"), append([]string{"kubectl", "--kubeconfig", c.dir() + "/kubeconfig"}, args...)...)
	command.Stdin = strings.NewReader(input)
	out, err := command.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (c *cluster) mustKubectl(input string, args ...string) string {
	c.t.Helper()
	out, err := c.kubectl(input, args...)
	if err != nil {
		c.t.Fatalf("kubectl %v: %v\n%s", args, err, out)
	}
	return out
}

func (c *cluster) dir() string { return filepath.Join(c.home, c.name) }

// processes lists the processes that are named in the record or name the cluster's directory.
func (c *cluster) processes() []string {
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		if bytes.Contains(text, []byte(c.dir()+"/")) || bytes.Contains(text, []byte(c.dir()+"\x00")) {
			found = append(found, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return found
}

// keeper is the process that the cluster ends with.
func (c *cluster) keeper() int {
	c.t.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir(), "cluster.json"))
	if err != nil {
		c.t.Fatal(err)
	}
	var record struct{ Keeper struct{ PID int } }
	if err := json.Unmarshal(text, &record); err != nil {
		c.t.Fatal(err)
	}
	return record.Keeper.PID
}

// remains lists everything of the cluster that is still on the machine.
func (c *cluster) remains() []string {
	found := c.processes()
	for _, pattern := range []string{c.dir(), "/run/netns/*" + c.name, "/sys/fs/cgroup/*" + c.name, "/sys/fs/cgroup/*/*" + c.name} {
		paths, _ := filepath.Glob(pattern)
		found = append(found, paths...)
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for _, line := range strings.Split(string(mounts), "\n") {
		if strings.Contains(line, c.dir()) || strings.Contains(line, "aeterna-"+c.name) {
			found = append(found, line)
		}
	}
	return found
}

// mustBeGone waits until nothing of the cluster is left.
func (c *cluster) mustBeGone(limit time.Duration) {
	c.t.Helper()
	eventually(c.t, limit, func() error {
		if left := c.remains(); len(left) > 0 {
			return fmt.Errorf("left over:\n%s", strings.Join(left, "\n"))
		}
		return nil
	})
}

// eventually waits for a condition and fails the test with its last error.
func eventually(t *testing.T, limit time.Duration, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %v", limit, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// owner starts a process that only waits, and a function that kills it as a crash would.
func owner(t *testing.T) (pid int, crash func()) {
	t.Helper()
	command := exec.Command("sleep", "600")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	crash = func() {
		_ = command.Process.Signal(syscall.SIGKILL)
		_ = command.Wait()
	}
	t.Cleanup(crash)
	return command.Process.Pid, crash
}
