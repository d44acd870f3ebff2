#!/usr/bin/env bash
# Runs the stages that are named, and fails when one of them ran no test.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
cd "$root"
claim_target

# A failed assertion says what it found; fifty frames of the runtime below it say nothing.
export RUST_BACKTRACE=0

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Shows a test run, and remembers it for the count.
counted() { "$@" 2>&1 | tee -a "$log"; }

lint() {
  cargo fmt --all --check
  cargo clippy --workspace --all-targets --locked -- -D warnings
  tools/sizes.sh
}
unit() { counted cargo test --workspace --locked --exclude aeterna-e2e --no-fail-fast; }
cluster() { counted make -C tests/cluster test; }
schema() { counted tests/schema.sh; }
e2e() { counted cargo test --locked -p aeterna-e2e -- --test-threads=1 --nocapture; }

for stage in "$@"; do
  : >"$log"
  timed "$stage" "$stage"
  [[ $stage == lint ]] && continue
  passed=$(awk '/^test result: ok/ {sum += $4} /^(ok|---) .*PASS|^ok  / {sum += 1} END {print sum + 0}' "$log")
  ((passed > 0)) || die "$stage ran no test"
  say "   $stage: $passed passed"
done
