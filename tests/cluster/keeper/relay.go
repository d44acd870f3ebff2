package keeper

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"aeterna.dev/cluster/netns"
	"aeterna.dev/cluster/place"
)

const controlSocket = "control.sock"

// relays pass connections from loopback ports of the machine into the network namespace.
type relays struct {
	netns     string
	lock      sync.Mutex
	listeners []net.Listener
}

func newRelays(namespace string) *relays { return &relays{netns: namespace} }

// open listens on an address of the machine and returns it with its port.
func (r *relays) open(listen, to string) (string, error) {
	listener, err := net.Listen("tcp4", listen)
	if err != nil {
		return "", fmt.Errorf("%w: choose another --port, or 0 for a free one", err)
	}
	r.keep(listener)
	go func() {
		for {
			outside, err := listener.Accept()
			if err != nil {
				return
			}
			go r.pass(outside, to)
		}
	}()
	return listener.Addr().String(), nil
}

func (r *relays) pass(outside net.Conn, to string) {
	defer outside.Close()
	inside, err := r.dial(to)
	if err != nil {
		fmt.Fprintf(os.Stderr, "relay to %s: %v\n", to, err)
		return
	}
	defer inside.Close()
	done := make(chan struct{})
	go func() {
		copyHalf(inside, outside)
		close(done)
	}()
	copyHalf(outside, inside)
	<-done
}

func (r *relays) dial(to string) (net.Conn, error) {
	if r.netns == "" {
		return net.DialTimeout("tcp", to, 10*time.Second)
	}
	return netns.Dial(r.netns, to)
}

// copyHalf passes one direction on, its end included: the other direction may go on.
func copyHalf(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

func (r *relays) keep(listener net.Listener) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.listeners = append(r.listeners, listener)
}

func (r *relays) close() {
	r.lock.Lock()
	defer r.lock.Unlock()
	for _, listener := range r.listeners {
		_ = listener.Close()
	}
}

type relayRequest struct{ Listen, To string }

type relayAnswer struct{ Address, Error string }

// serve answers requests for relays on a unix socket in the cluster's directory.
func (r *relays) serve(socket string) error {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", socket, err)
	}
	r.keep(listener)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go r.answer(conn)
		}
	}()
	return nil
}

func (r *relays) answer(conn net.Conn) {
	defer conn.Close()
	var request relayRequest
	if json.NewDecoder(conn).Decode(&request) != nil {
		return
	}
	var answer relayAnswer
	address, err := r.open(request.Listen, request.To)
	if answer.Address = address; err != nil {
		answer.Error = err.Error()
	}
	_ = json.NewEncoder(conn).Encode(answer)
}

// Forward asks the keeper of a cluster for a relay and returns the address outside of it.
func Forward(record place.Record, listen, to string) (string, error) {
	if _, _, err := net.SplitHostPort(to); err != nil {
		return "", fmt.Errorf("--to %q: use ADDRESS:PORT, such as %s:5432", to, record.NodeAddress)
	}
	conn, err := net.Dial("unix", record.Path(controlSocket))
	if err != nil {
		return "", fmt.Errorf("ask the keeper of %s: %w (is it still running?)", record.Name, err)
	}
	defer conn.Close()
	if err := json.NewEncoder(conn).Encode(relayRequest{Listen: listen, To: to}); err != nil {
		return "", err
	}
	var answer relayAnswer
	if err := json.NewDecoder(conn).Decode(&answer); err != nil {
		return "", fmt.Errorf("the keeper of %s gave no answer: %w", record.Name, err)
	}
	if answer.Error != "" {
		return "", fmt.Errorf("%s", answer.Error)
	}
	return answer.Address, nil
}
