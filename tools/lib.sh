# Shared by the scripts beside it: messages and the one place where paths are made.
# shellcheck shell=bash
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${AETERNA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/aeterna}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
export PATH="$HOME/.cargo/bin:/usr/local/go/bin:$PATH"

say() { printf '\033[1m%s\033[0m\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Runs a step under its name, and tells how long it took.
timed() {
  local name=$1 start=$SECONDS
  shift
  say "== $name"
  # In a condition bash would ignore `set -e` inside of the step, and only its last command would count.
  set +e
  (set -e; "$@")
  local status=$?
  set -e
  ((status == 0)) || die "$name failed"
  printf '   %s: %d s\n' "$name" $((SECONDS - start))
}

# Cargo tells a changed source by its date alone, so what another checkout has built into the same directory would pass
# for this one's. What is not ours (the dependencies: nearly all of the time) stays.
claim_target() {
  local owner=$CARGO_TARGET_DIR/checkout
  [[ $(cat "$owner" 2>/dev/null) == "$root" ]] && return
  (cd "$root" && cargo clean --quiet --workspace)
  mkdir -p "$CARGO_TARGET_DIR"
  printf '%s\n' "$root" >"$owner"
}
