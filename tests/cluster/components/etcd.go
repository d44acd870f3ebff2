package components

import (
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// runEtcd serves one etcd member that keeps its data for as long as its directory lives: it does
// not sync to disk, because a cluster that is thrown away has nothing to recover.
func runEtcd(args []string) error {
	flags := flag.NewFlagSet("etcd", flag.ContinueOnError)
	dir := flags.String("data-dir", "", "directory of the data")
	client := flags.String("client", "", "HOST:PORT for clients")
	peer := flags.String("peer", "", "HOST:PORT for peers")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cfg := embed.NewConfig()
	cfg.Name = "etcd"
	cfg.Dir = *dir
	cfg.ListenClientUrls = []url.URL{{Scheme: "http", Host: *client}}
	cfg.AdvertiseClientUrls = cfg.ListenClientUrls
	cfg.ListenPeerUrls = []url.URL{{Scheme: "http", Host: *peer}}
	cfg.AdvertisePeerUrls = cfg.ListenPeerUrls
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.LogLevel = "warn"
	cfg.UnsafeNoFsync = true
	// One member elects itself: long ticks cost nothing and save wake-ups.
	cfg.TickMs, cfg.ElectionMs = 100, 1000
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = "periodic", "5m"

	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return fmt.Errorf("start on %s: %w", *client, err)
	}
	defer server.Close()
	select {
	case <-server.Server.ReadyNotify():
	case err := <-server.Err():
		return err
	case <-time.After(time.Minute):
		return fmt.Errorf("not ready after a minute")
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-stop:
		return nil
	case err := <-server.Err():
		return err
	}
}
