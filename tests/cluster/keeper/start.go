package keeper

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"aeterna.dev/cluster/netns"
	"aeterna.dev/cluster/node"
	"aeterna.dev/cluster/place"
)

// ErrTaken is returned for a name that a running cluster has.
var ErrTaken = errors.New("name is taken")

// ErrNotUp is returned for a cluster that was started and broke.
var ErrNotUp = errors.New("the cluster did not come up")

// longestDir leaves room for the sockets below the directory: a socket's path ends at 108 bytes.
const longestDir = 80

// Start claims the name of a record, starts its keeper, passes on its progress and returns once the
// cluster is ready. The keeper goes on by itself, in a session of its own.
func Start(record place.Record, progress func(line string)) (place.Record, error) {
	if record.Dir == "" {
		record.Dir = filepath.Join(place.Base(), record.Name)
	}
	dir, err := filepath.Abs(record.Dir)
	if err != nil {
		return record, err
	}
	record.Dir = dir
	if len(dir) > longestDir {
		return record, fmt.Errorf("%s is too long for the path of a socket: choose a --dir of at most %d bytes", dir, longestDir)
	}
	if strings.HasPrefix(dir+"/", "/run/") || strings.HasPrefix(dir+"/", "/var/run/") {
		return record, fmt.Errorf("--dir %s: the node has a /run of its own; choose a directory elsewhere", dir)
	}
	var lines *os.File
	if err := place.WithLock(func() (err error) {
		lines, err = claim(&record)
		return err
	}); err != nil {
		return record, err
	}
	defer lines.Close()
	for scanner := bufio.NewScanner(lines); scanner.Scan(); {
		switch line := scanner.Text(); {
		case line == node.ReadyLine:
			return place.Load(record.Dir)
		case strings.HasPrefix(line, node.FailurePrefix):
			err = errors.New(strings.TrimPrefix(line, node.FailurePrefix))
		default:
			progress(line)
		}
	}
	if err == nil {
		err = errors.New("the keeper ended without a word")
	}
	return record, fmt.Errorf("%w: %w", ErrNotUp, err)
}

// claim writes the record and starts the keeper, whose progress it returns.
func claim(record *place.Record) (*os.File, error) {
	if err := refuseTaken(*record); err != nil {
		return nil, err
	}
	if left, err := os.ReadDir(record.Dir); err == nil && len(left) > 0 {
		return nil, fmt.Errorf("%s is not empty: choose another --dir or empty it", record.Dir)
	}
	if err := os.MkdirAll(record.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the directory of the cluster: %w", err)
	}
	if entry := filepath.Join(place.Base(), record.Name); entry != record.Dir {
		if err := os.Symlink(record.Dir, entry); err != nil {
			return nil, err
		}
	}
	if err := record.Save(); err != nil {
		return nil, err
	}
	return spawn(record)
}

// refuseTaken removes what a dead cluster of the name left, and refuses a living one's name.
func refuseTaken(record place.Record) error {
	entry := filepath.Join(place.Base(), record.Name)
	old, err := place.Load(entry)
	switch {
	case err == nil && old.Keeper.Alive():
		return fmt.Errorf("%s: %w by a running cluster: end it with `cluster down --name %s` or choose another --name",
			record.Name, ErrTaken, record.Name)
	case err == nil:
		if err := sweep(old); err != nil {
			return err
		}
	case errors.Is(err, fs.ErrNotExist):
		_ = os.Remove(entry) // a link to a directory that is gone, or an empty directory
	default:
		return err
	}
	if record.Kind == place.Node {
		return netns.CheckFree(record.Netns)
	}
	return nil
}

// spawn starts the keeper. It reads its record from standard input, so that it starts to work only
// after the record names it.
func spawn(record *place.Record) (*os.File, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(record.Path("keeper.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	lines, progress, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer progress.Close()
	command := exec.Command(self, "keeper")
	command.Dir = "/"
	command.Stdout, command.Stderr = log, log
	command.ExtraFiles = []*os.File{progress}
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	input, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start the keeper: %w", err)
	}
	record.Keeper = place.Identify(command.Process.Pid)
	if err := record.Save(); err != nil {
		return nil, err
	}
	if err := json.NewEncoder(input).Encode(record); err != nil {
		return nil, fmt.Errorf("hand the record to the keeper: %w", err)
	}
	// Reaps the keeper should it end first, so that it does not count as alive.
	go func() { _ = command.Wait() }()
	return lines, input.Close()
}

// Main is the keeper's command: it takes its record from standard input and reports on descriptor 3.
func Main() error {
	var record place.Record
	if err := json.NewDecoder(os.Stdin).Decode(&record); err != nil {
		return fmt.Errorf("read the record: %w", err)
	}
	progress := os.NewFile(3, "progress")
	syscall.CloseOnExec(3)
	err := Run(record, progress)
	if err != nil {
		fmt.Fprintf(progress, "%s%v\n", node.FailurePrefix, err)
	}
	return err
}
