package live

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestAnAPIServerServesAndLeavesNothing(t *testing.T) {
	c := newCluster(t, "api")
	path := c.run("apiserver", "--controllers")
	if path != c.dir()+"/kubeconfig" || c.run("kubeconfig") != path {
		t.Fatalf("kubeconfig is at %q", path)
	}
	c.mustKubectl("", "create", "namespace", "tried")
	// Only a controller makes the account.
	eventually(t, 10*time.Second, func() error {
		_, err := c.kubectl("", "get", "serviceaccount", "default", "--namespace", "tried")
		return err
	})
	if len(c.processes()) == 0 {
		t.Fatal("the search for processes finds none while the cluster runs")
	}
	c.run("down")
	c.mustBeGone(0)
	c.run("down") // a second time is no error
}

func TestAnAPIServerNeedsNoRoot(t *testing.T) {
	c := newCluster(t, "plain")
	asNobody(t, c, "apiserver", "")
	asNobody(t, c, "down", "")
	c.mustBeGone(0)
}

func TestANodeSaysThatItNeedsRoot(t *testing.T) {
	asNobody(t, newCluster(t, "noroot"), "up", "needs root: run this with sudo")
}

// asNobody runs a command as a plain user, from a copy that such a user can reach, and expects
// success or an error with the given words.
func asNobody(t *testing.T, c *cluster, verb, wanted string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test becomes another user: run it as root")
	}
	if err := os.Chmod(c.home, 0o777); err != nil {
		t.Fatal(err)
	}
	command := c.command(verb)
	copied := c.home + "/cluster-command"
	if _, err := os.Stat(copied); err != nil {
		binary, err := os.ReadFile(command.Path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied, binary, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	command.Path = copied
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := command.CombinedOutput()
	if wanted == "" && err != nil {
		t.Fatalf("cluster %s as nobody: %v\n%s", verb, err, out)
	}
	if wanted != "" && (err == nil || !strings.Contains(string(out), wanted)) {
		t.Fatalf("cluster %s as nobody said %q, not %q", verb, out, wanted)
	}
}

func TestTwoAPIServersRunAtOnce(t *testing.T) {
	both := []*cluster{newCluster(t, "one"), newCluster(t, "two")}
	var wait sync.WaitGroup
	for _, c := range both {
		wait.Go(func() {
			if _, said, err := c.try("apiserver"); err != nil {
				t.Errorf("%s: %v\n%s", c.name, err, said)
			}
		})
	}
	wait.Wait()
	both[0].mustKubectl("", "create", "namespace", "only-here")
	if out, err := both[1].kubectl("", "get", "namespace", "only-here"); err == nil {
		t.Fatalf("the second API server has what the first one was given: %s", out)
	}
	both[0].run("down")
	both[0].mustBeGone(0)
	both[1].mustKubectl("", "get", "namespaces")
}

func TestATakenNameIsRefused(t *testing.T) {
	c := newCluster(t, "taken")
	c.run("apiserver")
	for _, verb := range []string{"apiserver", "up"} {
		_, said, err := c.try(verb)
		if err == nil || !strings.Contains(said, "name is taken by a running cluster") {
			t.Fatalf("cluster %s with a taken name said %q", verb, said)
		}
	}
	c.mustKubectl("", "get", "namespaces")
}

func TestAnOwnerThatDoesNotRunIsRefused(t *testing.T) {
	c := newCluster(t, "orphan")
	pid, crash := owner(t)
	crash()
	if _, said, err := c.try("apiserver", "--owner-pid", strconv.Itoa(pid)); err == nil || !strings.Contains(said, "does not run") {
		t.Fatalf("an ended owner was answered by %q", said)
	}
	c.mustBeGone(0)
}

func TestTheEndOfTheOwnerEndsTheCluster(t *testing.T) {
	c := newCluster(t, "owned")
	pid, crash := owner(t)
	c.run("apiserver", "--owner-pid", strconv.Itoa(pid))
	crash()
	c.mustBeGone(15 * time.Second)
}

func TestACrashOfTheKeeperEndsAllProcessesAndTheNameCanBeUsedAgain(t *testing.T) {
	c := newCluster(t, "crash")
	c.run("apiserver")
	if err := syscall.Kill(c.keeper(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		if left := c.processes(); len(left) > 0 {
			return fmt.Errorf("still running: %s", strings.Join(left, "\n"))
		}
		return nil
	})
	c.run("apiserver")
	c.run("down")
	c.mustBeGone(0)
}
