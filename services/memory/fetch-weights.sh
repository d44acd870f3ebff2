#!/usr/bin/env bash
# Fetches the weights of the local embedding model out of wordllama's wheel (MIT), checks them, and prints where they are.
set -euo pipefail

wheel=wordllama==0.4.0.post1
dir=${AETERNA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/aeterna}/embedding/wordllama-256
sums="64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5  model.safetensors
93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68  tokenizer.json"

intact() { (cd "$dir" 2>/dev/null && sha256sum --check --status <<<"$sums"); }

if ! intact; then
  command -v python3 >/dev/null || { echo "error: python3 with pip is needed to fetch $wheel" >&2; exit 1; }
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  # The files are the same in every wheel of the release; this one is named so that any python3 takes it.
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.11 \
    --implementation cp --abi cp311 --platform manylinux2014_x86_64 --dest "$work" "$wheel"
  python3 -m zipfile -e "$work"/*.whl "$work/wheel"
  mkdir -p "$dir"
  cp "$work/wheel/wordllama/weights/l2_supercat_256.safetensors" "$dir/model.safetensors"
  cp "$work/wheel/wordllama/tokenizers/l2_supercat_tokenizer_config.json" "$dir/tokenizer.json"
  intact || { echo "error: the files of $wheel are not the expected ones" >&2; exit 1; }
fi
echo "$dir"
