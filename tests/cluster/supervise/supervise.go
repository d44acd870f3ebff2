// Package supervise runs the programs of a cluster as children of one process: it starts them,
// keeps their logs, starts again what ends by itself, reaps orphans (it may be process 1 of a
// namespace) and stops everything in a given order. It knows no program by name.
package supervise

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Program is one command to run.
type Program struct {
	Name string
	Path string
	Args []string
	Env  []string
	// Grace is how long it may take from SIGTERM to its end.
	Grace time.Duration
}

// Exit tells that a program ended.
type Exit struct {
	Program Program
	Status  syscall.WaitStatus
}

// Supervisor owns the children of this process.
type Supervisor struct {
	logs string
	// Exits receives programs that ended without being asked to.
	Exits chan Exit

	lock     sync.Mutex
	running  map[string]*child
	children map[int]*child
}

type child struct {
	program  Program
	pid      int
	once     bool
	stopping bool
	ended    chan struct{}
	status   syscall.WaitStatus
}

// New makes the supervisor of this process, which from now on must start every child through it.
func New(logs string) (*Supervisor, error) {
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return nil, fmt.Errorf("make the directory of logs: %w", err)
	}
	s := &Supervisor{
		logs:     logs,
		Exits:    make(chan Exit, 64),
		running:  map[string]*child{},
		children: map[int]*child{},
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGCHLD)
	go func() {
		for range signals {
			s.reap()
		}
	}()
	return s, nil
}

// Start runs a program that is meant to go on. Call it from the main goroutine, locked to its
// thread: the children die with the thread that started them.
func (s *Supervisor) Start(program Program) error {
	_, err := s.start(program, false)
	return err
}

// Run runs a command to its end; the error holds where its output is.
func (s *Supervisor) Run(name, path string, args ...string) error {
	c, err := s.start(Program{Name: name, Path: path, Args: args}, true)
	if err != nil {
		return err
	}
	<-c.ended
	if c.status.ExitStatus() != 0 {
		return fmt.Errorf("%s %v failed (status %d): see %s.log", path, args, c.status.ExitStatus(), name)
	}
	return nil
}

func (s *Supervisor) start(program Program, once bool) (*child, error) {
	log, err := os.OpenFile(filepath.Join(s.logs, program.Name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", program.Name, err)
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	// Held over the start, so that a child which ends at once is known to the reaper.
	s.lock.Lock()
	defer s.lock.Unlock()
	pid, err := syscall.ForkExec(program.Path, append([]string{program.Path}, program.Args...), &syscall.ProcAttr{
		Dir:   "/",
		Env:   append(os.Environ(), program.Env...),
		Files: []uintptr{null.Fd(), log.Fd(), log.Fd()},
		Sys:   &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true},
	})
	if err != nil {
		return nil, fmt.Errorf("start %s (%s): %w", program.Name, program.Path, err)
	}
	c := &child{program: program, pid: pid, once: once, ended: make(chan struct{})}
	s.children[pid] = c
	if !once {
		s.running[program.Name] = c
	}
	return c, nil
}

// Stop ends the named programs one after another; those that do not run are skipped.
func (s *Supervisor) Stop(names ...string) {
	for _, name := range names {
		s.lock.Lock()
		c := s.running[name]
		if c != nil {
			c.stopping = true
			_ = unix.Kill(c.pid, unix.SIGTERM)
		}
		s.lock.Unlock()
		if c == nil {
			continue
		}
		select {
		case <-c.ended:
		case <-time.After(c.program.Grace):
			_ = unix.Kill(c.pid, unix.SIGKILL)
			<-c.ended
		}
	}
}

// reap collects every child that has ended, the orphans of a namespace included.
func (s *Supervisor) reap() {
	s.lock.Lock()
	defer s.lock.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if pid <= 0 || err != nil {
			return
		}
		c, ours := s.children[pid]
		if !ours {
			continue
		}
		delete(s.children, pid)
		c.status = status
		close(c.ended)
		if c.once {
			continue
		}
		delete(s.running, c.program.Name)
		if !c.stopping {
			s.Exits <- Exit{Program: c.program, Status: status}
		}
	}
}
