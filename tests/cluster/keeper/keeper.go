// Package keeper is the outside of a cluster: one process per cluster that makes its network
// namespace, starts the supervisor in it (package node), relays loopback ports of the machine into
// it, watches the owner, and removes everything at the end. Whatever ends the keeper ends the
// cluster: the kernel kills the supervisor with it, and with process 1 of the namespace all else.
package keeper

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"aeterna.dev/cluster/netns"
	"aeterna.dev/cluster/node"
	"aeterna.dev/cluster/place"
	"golang.org/x/sys/unix"
)

// stopLimit is above the sum of the graces of package node.
const stopLimit = 60 * time.Second

// Run keeps the cluster of a record until it is told to end, its owner ends or it breaks; then it
// leaves nothing. Each step goes to progress as a line; "ready" is the last one.
func Run(record place.Record, progress io.Writer) (err error) {
	// The supervisor dies with the thread that started it.
	runtime.LockOSThread()
	stop := make(chan os.Signal, 4)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	defer func() {
		if err != nil {
			err = keepLogs(record, err)
		}
		if swept := Sweep(record); err == nil {
			err = swept
		}
	}()
	owner := make(<-chan struct{})
	if record.OwnerPID != 0 {
		if owner, err = place.Identify(record.OwnerPID).Ended(); err != nil {
			return fmt.Errorf("--owner-pid: %w", err)
		}
	}
	if record.Kind == place.Node {
		if err := netns.Create(record.Netns); err != nil {
			return err
		}
	}
	relays := newRelays(record.Netns)
	defer relays.close()
	if record.Kind == place.Node {
		if record.APIAddress, err = relays.open("127.0.0.1:0", "127.0.0.1:6443"); err != nil {
			return err
		}
		if err := record.Save(); err != nil {
			return err
		}
	}
	if err := relays.serve(record.Path(controlSocket)); err != nil {
		return err
	}
	supervisor, lines, err := startSupervisor(record)
	if err != nil {
		return err
	}
	record.Supervisor = place.Identify(supervisor.Process.Pid)
	if err := record.Save(); err != nil {
		return err
	}
	ended := make(chan error, 1) // receives the reason
	abandoned := make(chan struct{})
	go func() {
		reason := follow(lines, progress, abandoned)
		if err := supervisor.Wait(); reason == nil {
			reason = fmt.Errorf("the supervisor ended: %v", err)
		}
		ended <- reason
	}()
	select {
	case err := <-ended:
		return err
	case <-stop:
	case <-owner:
	case <-abandoned:
	}
	_ = unix.Kill(supervisor.Process.Pid, unix.SIGTERM)
	select {
	case <-ended:
	case <-time.After(stopLimit):
		_ = unix.Kill(supervisor.Process.Pid, unix.SIGKILL)
		<-ended
	}
	return nil
}

// follow passes on what the supervisor reports. Who starts a cluster reads along until it is ready;
// if that process is gone before, nobody wants the cluster. It returns the failure reported, if any.
func follow(lines io.Reader, progress io.Writer, abandoned chan<- struct{}) (failure error) {
	ready := false
	for scanner := bufio.NewScanner(lines); scanner.Scan(); {
		line := scanner.Text()
		if reason, failed := strings.CutPrefix(line, node.FailurePrefix); failed {
			failure = errors.New(reason)
			continue
		}
		if _, err := fmt.Fprintln(progress, line); err != nil && !ready {
			close(abandoned)
			break
		}
		if line == node.ReadyLine {
			ready = true
			if closer, ok := progress.(io.Closer); ok {
				_ = closer.Close()
			}
		}
	}
	_, _ = io.Copy(io.Discard, lines)
	return failure
}

// keepLogs saves the logs of a cluster that broke from being removed with it.
func keepLogs(record place.Record, broke error) error {
	logs := filepath.Join(os.TempDir(), "aeterna-"+record.Name+"-logs")
	_ = os.RemoveAll(logs)
	if err := os.CopyFS(logs, os.DirFS(record.Path("logs"))); err != nil {
		return broke // it broke before there were any
	}
	return fmt.Errorf("%w (logs are kept in %s)", broke, logs)
}

// startSupervisor starts this binary again inside of the namespaces of the cluster.
func startSupervisor(record place.Record) (*exec.Cmd, io.Reader, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	command := exec.Command(self, "supervisor", "--dir", record.Dir)
	command.Stderr = os.Stderr
	command.Dir = "/"
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setsid: true}
	lines, err := command.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	start := command.Start
	if record.Kind == place.Node {
		command.SysProcAttr.Cloneflags = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID
		start = func() error { return netns.Visit(record.Netns, command.Start) }
	}
	if err := start(); err != nil {
		if strings.Contains(err.Error(), "operation not permitted") {
			err = fmt.Errorf("%w (process and mount namespaces are not allowed here; in a container, run it with --privileged)", err)
		}
		return nil, nil, fmt.Errorf("start the supervisor: %w", err)
	}
	return command, lines, nil
}
