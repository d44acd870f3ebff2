package live

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// workload resolves a name, tells it in its log, and stays.
const workload = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: resolver}
spec:
  replicas: 1
  selector: {matchLabels: {app: resolver}}
  template:
    metadata: {labels: {app: resolver}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: resolver
        image: resolver:test
        imagePullPolicy: IfNotPresent
        command: [dash, -c, "getent hosts kubernetes.default.svc.cluster.local && echo free > /tmp/file; exec socat TCP-LISTEN:8080,fork,reuseaddr EXEC:cat"]
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
        volumeMounts: [{name: tmp, mountPath: /tmp}]
        securityContext: {runAsNonRoot: true, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
      volumes: [{name: tmp, emptyDir: {}}]
---
apiVersion: v1
kind: Service
metadata: {name: resolver}
spec: {selector: {app: resolver}, ports: [{port: 80, targetPort: 8080}]}
`

// One node serves all of these, one after the other: each step relies on the one before.
func TestANodeRunsPodsAndLeavesNothing(t *testing.T) {
	c := newCluster(t, "node")
	pid, crash := owner(t)
	c.run("up", "--owner-pid", strconv.Itoa(pid))
	step := func(name string, act func(t *testing.T)) {
		if !t.Run(name, act) {
			t.FailNow()
		}
	}
	step("an image is loaded once", func(t *testing.T) { imageIsLoadedOnce(t, c) })
	step("a Pod runs and resolves names", func(t *testing.T) { podResolves(t, c) })
	step("a deleted Pod is replaced", func(t *testing.T) { podIsReplaced(t, c) })
	step("a Service is reached from outside", func(t *testing.T) { serviceIsReached(t, c) })
	step("a Pod reaches a server at the node address", func(t *testing.T) { nodeIsReached(t, c) })
	step("metrics of Pods are served", func(t *testing.T) { metricsAreServed(t, c) })
	step("the end of the owner removes all", func(t *testing.T) {
		crash()
		c.mustBeGone(30 * time.Second)
	})
}

// A node that is told to end is removed when the command returns, with Pods running on it.
func TestDownEndsANodeWithAllItsPods(t *testing.T) {
	c := newCluster(t, "down")
	c.run("up", "--no-metrics")
	imageIsLoadedOnce(t, c)
	podResolves(t, c)
	c.run("down")
	c.mustBeGone(0)
}

func imageIsLoadedOnce(t *testing.T, c *cluster) {
	args := []string{"--image", "resolver:test"}
	for _, binary := range []string{"dash", "getent", "socat", "cat"} {
		path, err := exec.LookPath(binary)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, "--binary", path)
	}
	for _, wanted := range []string{"loaded", "present"} {
		if _, said, err := c.try("load-image", args...); err != nil || !strings.Contains(said, wanted) {
			t.Fatalf("wanted %q: %v %s", wanted, err, said)
		}
	}
}

func podResolves(t *testing.T, c *cluster) {
	c.mustKubectl(workload, "apply", "-f", "-")
	c.mustKubectl("", "rollout", "status", "deployment/resolver", "--timeout=60s")
	if log := c.mustKubectl("", "logs", "deployment/resolver"); !strings.HasPrefix(log, "10.96.0.1 ") {
		t.Fatalf("the Pod resolved %q", log)
	}
	if out := c.mustKubectl("", "exec", "deployment/resolver", "--", "cat", "/tmp/file"); out != "free" {
		t.Fatalf("exec read %q", out)
	}
}

func podIsReplaced(t *testing.T, c *cluster) {
	name := func() string {
		return c.mustKubectl("", "get", "pods", "--selector=app=resolver", "--output=jsonpath={.items[*].metadata.name}")
	}
	old := name()
	c.mustKubectl("", "delete", "pod", old)
	c.mustKubectl("", "rollout", "status", "deployment/resolver", "--timeout=60s")
	if now := name(); now == "" || strings.Contains(now, old) {
		t.Fatalf("Pod %s was followed by %q", old, now)
	}
}

func serviceIsReached(t *testing.T, c *cluster) {
	inside := c.mustKubectl("", "get", "service", "resolver", "--output=jsonpath={.spec.clusterIP}")
	outside := c.run("forward", "--to", inside+":80")
	eventually(t, 10*time.Second, func() error {
		conn, err := net.DialTimeout("tcp", outside, time.Second)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		if _, err := conn.Write([]byte("echo")); err != nil {
			return err
		}
		answer := make([]byte, 4)
		if _, err := conn.Read(answer); err != nil || string(answer) != "echo" {
			return fmt.Errorf("answered %q: %v", answer, err)
		}
		return nil
	})
}

func nodeIsReached(t *testing.T, c *cluster) {
	address := c.run("address")
	server := c.command("exec", "--", "socat", "TCP-LISTEN:7000,fork,reuseaddr,bind="+address, "SYSTEM:echo from the node")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	// The end of the cluster ends it; the test must only collect it.
	go func() { _ = server.Wait() }()
	eventually(t, 10*time.Second, func() error {
		out, err := c.kubectl("", "exec", "deployment/resolver", "--", "socat", "-", "TCP:"+address+":7000")
		if err == nil && out != "from the node" {
			err = errors.New("read " + out)
		}
		return err
	})
}

func metricsAreServed(t *testing.T, c *cluster) {
	eventually(t, 60*time.Second, func() error {
		out, err := c.kubectl("", "top", "pods", "--no-headers")
		if err == nil && !strings.HasPrefix(out, "resolver-") {
			err = errors.New("read " + out)
		}
		return err
	})
}
