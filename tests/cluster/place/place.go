// Package place says where a cluster lives on disk and who keeps it: the directory of a name, the
// record in it (cluster.json) and whether the keeper that the record names is still alive. It
// starts and stops nothing: see package keeper.
package place

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
)

// Kind tells the two shapes of a cluster apart.
type Kind string

const (
	// Node is a whole Kubernetes node in a network namespace of its own.
	Node Kind = "node"
	// APIServer is etcd and the API server alone, on loopback ports of the machine.
	APIServer Kind = "apiserver"
)

// Record is what is written down about a cluster before anything of it is started, so that a
// later process can remove it all.
type Record struct {
	Name        string `json:"name"`
	Kind        Kind   `json:"kind"`
	Dir         string `json:"dir"`
	Controllers bool   `json:"controllers,omitempty"`
	// Netns is the name below /run/netns; Cgroup is the name below each cgroup root.
	Netns  string `json:"netns,omitempty"`
	Cgroup string `json:"cgroup,omitempty"`
	// NodeCIDR is the address of the node inside of its namespace, with its prefix length.
	NodeCIDR    string  `json:"nodeCIDR,omitempty"`
	NodeAddress string  `json:"nodeAddress,omitempty"`
	Metrics     bool    `json:"metrics,omitempty"`
	Snapshotter string  `json:"snapshotter,omitempty"`
	APIAddress  string  `json:"apiAddress,omitempty"`
	OwnerPID    int     `json:"ownerPID,omitempty"`
	Keeper      Process `json:"keeper"`
	Supervisor  Process `json:"supervisor"`
}

// Kubeconfig is the path of the administrator's kubeconfig.
func (r Record) Kubeconfig() string { return r.Path("kubeconfig") }

// Path joins names to the directory of the cluster.
func (r Record) Path(names ...string) string {
	return filepath.Join(append([]string{r.Dir}, names...)...)
}

// Save writes the record so that a reader sees the old one or the new one.
func (r Record) Save() error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the record of %s: %w", r.Name, err)
	}
	next := r.Path("cluster.json.next")
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return fmt.Errorf("write the record of %s: %w", r.Name, err)
	}
	return os.Rename(next, r.Path("cluster.json"))
}

// Base is the directory that holds one entry per cluster name: the cluster's directory, or a link
// to it when the caller chose another.
func Base() string {
	if base := os.Getenv("AETERNA_CLUSTER_HOME"); base != "" {
		return base
	}
	if os.Geteuid() == 0 {
		return "/var/lib/aeterna/cluster"
	}
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		state = filepath.Join(os.Getenv("HOME"), ".local", "state")
	}
	return filepath.Join(state, "aeterna", "cluster")
}

// ErrNoCluster is returned for a name that no record is found for.
var ErrNoCluster = errors.New("no such cluster")

var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// CheckName refuses names that could not be a host name, a namespace and a file at once.
func CheckName(name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("--name %q: use 1 to 32 lower-case letters, digits and dashes", name)
	}
	return nil
}

// Find reads the record of a name.
func Find(name string) (Record, error) {
	if err := CheckName(name); err != nil {
		return Record{}, err
	}
	record, err := Load(filepath.Join(Base(), name))
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, fmt.Errorf("%s: %w (start it with `cluster up --name %s`)", name, ErrNoCluster, name)
	}
	return record, err
}

// Load reads the record in a cluster's directory.
func Load(dir string) (Record, error) {
	var record Record
	text, err := os.ReadFile(filepath.Join(dir, "cluster.json"))
	if err != nil {
		return record, err
	}
	if err := json.Unmarshal(text, &record); err != nil {
		return record, fmt.Errorf("read %s/cluster.json: %w", dir, err)
	}
	return record, nil
}

// Others counts the names other than this one that have an entry.
func Others(name string) int {
	entries, _ := os.ReadDir(Base())
	count := 0
	for _, entry := range entries {
		if entry.Name() != name && entry.Name() != lockFile {
			count++
		}
	}
	return count
}

const lockFile = ".lock"

// WithLock runs act while no other process claims or removes a name.
func WithLock(act func() error) error {
	if err := os.MkdirAll(Base(), 0o755); err != nil {
		return fmt.Errorf("make the directory of clusters: %w (set AETERNA_CLUSTER_HOME to one you can write)", err)
	}
	lock, err := os.OpenFile(filepath.Join(Base(), lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open the lock of clusters: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	return act()
}
