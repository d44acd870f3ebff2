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

[[ $(uname -m) =~ ^(x86_64|aarch64)$ ]] || die "this machine is a $(uname -m); x86-64 and arm64 are known to have all that is needed"

# Tells whether a version is at least another.
at_least() { [[ $(printf '%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

# rustup gets the version of rust-toolchain.toml by itself; another cargo must bring it.
rust=$(sed -n 's/^channel = "\(.*\)"/\1/p' "$root/rust-toolchain.toml")
command -v cargo >/dev/null || die "cargo is missing: install Rust with rustup (https://rustup.rs); it takes the version of rust-toolchain.toml"
found=$(cd "$root" && cargo --version | awk '{print $2}') || die "cargo does not run: see what it says above; rust-toolchain.toml wants Rust $rust"
at_least "$found" "$rust" || die "cargo is $found, and Rust $rust is needed: install it with rustup (https://rustup.rs), not from Debian"

go=$(sed -n 's/^go //p' "$root/tests/cluster/go.mod")
command -v go >/dev/null || die "go is missing: unpack Go $go or newer into /usr/local/go (https://go.dev/dl); the local Kubernetes is built with it"
# A go of 1.21 or newer would fetch the one of go.mod; where that is forbidden it is as old as it says.
found=$(cd "$root/tests/cluster" && go env GOVERSION) || die "go does not run: see what it says above; Go $go is needed"
at_least "${found#go}" "$go" || die "go is ${found#go}, and Go $go is needed: unpack it into /usr/local/go (https://go.dev/dl); Debian's is older"
