#!/usr/bin/env bash
# Fetches DuckDB's library out of its npm package (MIT), checks it, and prints where it is.
set -euo pipefail

case $(uname -m) in
  x86_64) platform=linux-x64 sum=fc23f12e376c47be520f75221288281906e7942e8fd6f6ce4849198ba60d0405 ;;
  aarch64) platform=linux-arm64 sum=d00d007f3f7ca1f2896a5e4b89c2ce141bf0508506a9d6d56f9598b8e59d074e ;;
  *) echo "error: DuckDB's library is known for x86-64 and arm64, not for $(uname -m)" >&2 && exit 1 ;;
esac
package=@duckdb/node-bindings-$platform@1.5.5-r.5
dir=${AETERNA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/aeterna}/duckdb/1.5.5

intact() { (cd "$dir" 2>/dev/null && sha256sum --check --status <<<"$sum  libduckdb.so"); }

if ! intact; then
  command -v npm >/dev/null || { echo "error: npm is needed to fetch $package" >&2; exit 1; }
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  (cd "$work" && npm pack --silent "$package" >/dev/null && tar -xzf ./*.tgz package/libduckdb.so)
  mkdir -p "$dir"
  # Whoever reads it meanwhile sees the old one or the new one, whole.
  cp "$work/package/libduckdb.so" "$dir/.libduckdb.so.$$"
  mv "$dir/.libduckdb.so.$$" "$dir/libduckdb.so"
  intact || { echo "error: the library of $package is not the expected one" >&2; exit 1; }
fi
echo "$dir/libduckdb.so"
