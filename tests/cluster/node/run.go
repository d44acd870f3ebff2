package node

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"aeterna.dev/cluster/image"
	"aeterna.dev/cluster/pki"
	"aeterna.dev/cluster/place"
	"aeterna.dev/cluster/supervise"
)

// ReadyLine is what Run reports last, once the cluster can be used.
const ReadyLine = "ready"

// FailurePrefix opens the line that says why a cluster broke.
const FailurePrefix = "failed: "

// Run brings up the cluster of a record, reports each step, and stays until it is told to end by
// SIGTERM or a program that cannot be started again ends.
func Run(record place.Record, report func(format string, args ...any)) error {
	// The children die with the thread that starts them: see package supervise.
	runtime.LockOSThread()
	stop := make(chan os.Signal, 4)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	n, err := newNode(record, report)
	if err != nil {
		return err
	}
	if n.supervisor, err = supervise.New(n.Path("logs")); err != nil {
		return err
	}
	defer n.supervisor.Stop(stopOrder...)
	started := make(chan error, 1)
	starts := make(chan start)
	go func() { started <- n.bringUp(starts) }()
	for {
		select {
		case s := <-starts:
			s.done <- n.supervisor.Start(s.program)
		case err := <-started:
			if err != nil {
				return err
			}
			report(ReadyLine)
		case exit := <-n.supervisor.Exits:
			if !n.hasNode() || exit.Program.Name == "etcd" {
				return fmt.Errorf("%[1]s ended (status %[2]d): see %[1]s.log", exit.Program.Name, exit.Status.ExitStatus())
			}
			// As an init system would; a second later, so that what always fails does not spin.
			time.AfterFunc(time.Second, func() { starts <- start{exit.Program, make(chan error, 1)} })
		case <-stop:
			return nil
		}
	}
}

// start asks the main goroutine to start a program.
type start struct {
	program supervise.Program
	done    chan error
}

// bringUp starts the programs in the order of their needs and waits until they serve.
func (n *node) bringUp(starts chan<- start) error {
	launch := func(programs ...supervise.Program) error {
		for _, program := range programs {
			s := start{program, make(chan error, 1)}
			starts <- s
			if err := <-s.done; err != nil {
				return err
			}
		}
		return nil
	}
	if n.hasNode() {
		if err := n.prepareNetwork(); err != nil {
			return err
		}
	}
	if err := n.writeIdentities(); err != nil {
		return err
	}
	if err := launch(n.etcd()); err != nil {
		return err
	}
	if err := launch(n.apiserver()); err != nil {
		return err
	}
	if n.hasNode() {
		if err := n.writeConfigs(); err != nil {
			return err
		}
		if err := launch(n.containerd()); err != nil {
			return err
		}
		if err := n.loadPause(); err != nil {
			return err
		}
		n.report("containerd serves, sandbox image loaded")
	}
	api, err := n.newAPI()
	if err != nil {
		return err
	}
	if err := api.waitReady(time.Minute); err != nil {
		return fmt.Errorf("%w: see kube-apiserver.log", err)
	}
	n.report("kube-apiserver serves")
	if n.hasNode() {
		if err := launch(n.kubelet(), n.controllerManager(), n.scheduler(), n.proxy()); err != nil {
			return err
		}
		if err := n.finishNode(api, launch); err != nil {
			return err
		}
	} else if n.Controllers {
		if err := launch(n.controllerManager()); err != nil {
			return err
		}
		if err := api.waitDefaultAccount(time.Minute); err != nil {
			return fmt.Errorf("%w: see kube-controller-manager.log", err)
		}
		n.report("kube-controller-manager works")
	}
	return pki.WriteKubeconfig(n.Kubeconfig(), n.APIAddress, n.Path("pki", "ca.crt"), n.adminUser)
}

// finishNode adds DNS and metrics and waits until Pods can run and resolve names.
func (n *node) finishNode(api *api, launch func(...supervise.Program) error) error {
	if err := n.supervisor.Run("objects", n.self, "kubectl", "--kubeconfig", n.Path("pki", "admin.kubeconfig"),
		"apply", "--server-side", "--validate=false", "-f", n.Path("etc", "objects.yaml")); err != nil {
		return err
	}
	if err := launch(n.coredns()); err != nil {
		return err
	}
	if err := api.waitNode(n.nodeName(), time.Minute); err != nil {
		return fmt.Errorf("%w: see kubelet.log", err)
	}
	n.report("node is Ready")
	if err := n.waitDNS(30 * time.Second); err != nil {
		return fmt.Errorf("%w: see coredns.log", err)
	}
	if err := api.waitDefaultAccount(time.Minute); err != nil {
		return fmt.Errorf("%w: see kube-controller-manager.log", err)
	}
	n.report("CoreDNS serves")
	if n.Metrics {
		return launch(n.metricsServer())
	}
	return nil
}

// loadPause makes the sandbox image and hands it to containerd once that listens.
func (n *node) loadPause() error {
	tar := n.Path("pause.tar")
	binary := filepath.Join(filepath.Dir(n.self), "pause")
	spec := image.Spec{Reference: PauseImage, Binaries: []string{binary}, Bare: true}
	if _, err := image.Write(spec, tar); err != nil {
		return err
	}
	defer os.Remove(tar)
	socket := n.Path("containerd.sock")
	if err := until(20*time.Second, func() error { _, err := os.Stat(socket); return err }); err != nil {
		return errors.New("containerd does not listen: see containerd.log")
	}
	ctr, err := exec.LookPath("ctr")
	if err != nil {
		return err
	}
	return n.supervisor.Run("pause-image", ctr, image.ImportArgs(socket, n.Snapshotter, tar)...)
}
