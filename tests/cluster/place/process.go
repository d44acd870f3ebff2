package place

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Process names a process so that a later one with the same id is not taken for it.
type Process struct {
	PID int `json:"pid"`
	// Started is the start time in clock ticks since boot, from /proc/PID/stat.
	Started uint64 `json:"started"`
}

// Self is the calling process.
func Self() Process { return Identify(os.Getpid()) }

// Identify names the process that has the id now; its PID is 0 when there is none.
func Identify(pid int) Process {
	started, state := stat(pid)
	if started == 0 || state == 'Z' {
		return Process{}
	}
	return Process{PID: pid, Started: started}
}

// Alive tells whether the process still runs; a zombie does not.
func (p Process) Alive() bool {
	return p.PID > 0 && Identify(p.PID) == p
}

// Signal sends a signal if the process still runs.
func (p Process) Signal(signal unix.Signal) {
	if p.Alive() {
		_ = unix.Kill(p.PID, signal)
	}
}

// WaitGone waits until the process has ended and says whether it has.
func (p Process) WaitGone(limit time.Duration) bool {
	for deadline := time.Now().Add(limit); p.Alive(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// Ended returns a channel that is closed when the process ends, without polling where the kernel
// offers a file descriptor for it.
func (p Process) Ended() (<-chan struct{}, error) {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil || !p.Alive() {
		return nil, fmt.Errorf("process %d does not run", p.PID)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer unix.Close(fd)
		for {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if err != unix.EINTR {
				return
			}
		}
	}()
	return ended, nil
}

// stat reads the start time and the state; the name in brackets may hold spaces.
func stat(pid int) (started uint64, state byte) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	const startTime = 19 // field 22 of proc(5), counted from the state
	if len(fields) <= startTime {
		return 0, 0
	}
	started, _ = strconv.ParseUint(string(fields[startTime]), 10, 64)
	return started, fields[0][0]
}
