#!/usr/bin/env bash
# Installs the Debian packages that are missing and checks the toolchains.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages=(
  build-essential pkg-config git curl make lld
  containerd runc containernetworking-plugins iptables nftables conntrack ethtool socat iproute2
  postgresql pgbouncer redis-server python3-pip python3-venv openssl jq lighttpd
)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
# A kubectl of another origin than Debian's is as good.
command -v kubectl >/dev/null || missing+=(kubernetes-client)
# So is an npm that came with Node.
command -v npm >/dev/null || missing+=(npm)

if ((${#missing[@]})); then
  command -v apt-get >/dev/null || die "these packages are missing, and there is no apt-get to install them: ${missing[*]}"
  [[ $EUID == 0 ]] || die "these packages are missing: ${missing[*]}. Run as root: apt-get install ${missing[*]}"
  say "== installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # Debian starts what it installs; the tests and the demo start their own servers.
  [[ -e /usr/sbin/policy-rc.d ]] || { printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d && trap 'rm -f /usr/sbin/policy-rc.d' EXIT; }
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

command -v cargo >/dev/null || die "cargo is missing: install Rust with rustup, rust-toolchain.toml names the version"
command -v go >/dev/null || die "go is missing: install Go 1.26 or newer, the local Kubernetes is built with it"
