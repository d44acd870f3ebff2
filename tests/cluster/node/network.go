package node

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
)

// prepareNetwork gives the node its address inside of the network namespace that this process runs
// in: a bridge with a veth for carrier, and a default route so that Service addresses have one.
func (n *node) prepareNetwork() error {
	prefix, err := netip.ParsePrefix(n.NodeCIDR)
	if err != nil {
		return fmt.Errorf("node address: %w", err)
	}
	// Nobody answers there: it is the next address, so that it lies in the node's network.
	gateway := prefix.Addr().Next().String()
	ip, err := exec.LookPath("ip")
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"link", "add", "node0", "type", "bridge"},
		{"link", "add", "carrier0", "type", "veth", "peer", "name", "carrier1"},
		{"link", "set", "carrier0", "master", "node0"},
		{"address", "add", n.NodeCIDR, "dev", "node0"},
		{"link", "set", "carrier1", "up"},
		{"link", "set", "carrier0", "up"},
		{"link", "set", "node0", "up"},
		{"route", "add", "default", "via", gateway, "dev", "node0"},
	} {
		if err := n.supervisor.Run("network", ip, args...); err != nil {
			return err
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return fmt.Errorf("switch on forwarding: %w", err)
	}
	return nil
}
