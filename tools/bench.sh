#!/usr/bin/env bash
# Measures with optimised binaries, after it has told on what machine. BENCH_ONLY=move|service|knowledge|governance|sync|operator measures a part.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
cd "$root"
claim_target
[[ -n ${BENCH_ONLY:-} ]] || unset BENCH_ONLY

build_release() {
  cargo build --release --locked -p aeterna-bench -p aeterna-vectorstore -p memory-service -p knowledge-service \
    -p governance-service -p sync-service -p aeterna-relocator -p aeterna-operator --bins
}

cpu() { awk -F ': *' '/^model name/ {print $2; exit}' /proc/cpuinfo; }
memory() { awk '/^MemTotal/ {printf "%.0f GB", $2 * 1024 / 1e9}' /proc/meminfo; }
postgres() { "$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)/postgres" --version | awk '{print $3}'; }

timed "optimised binaries (15 minutes when cold)" build_release
say "== $(date -u +%F), release profile, $(nproc) cores ($(cpu)), $(memory), Linux $(uname -r), PostgreSQL $(postgres), load $(cut -d ' ' -f 1 /proc/loadavg)"
"$CARGO_TARGET_DIR/release/aeterna-bench"
