#!/usr/bin/env bash
# Builds everything that the demo and the tests run: the local Kubernetes, the binaries, the embedding weights, DuckDB.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
cd "$root"
claim_target

build_cluster() { make -s -C tests/cluster build; }
build_binaries() { cargo build --workspace --bins --locked; }
fetch_weights() { services/memory/fetch-weights.sh; }
fetch_duckdb() { services/knowledge/fetch-duckdb.sh; }

timed "embedding weights" fetch_weights
timed "DuckDB" fetch_duckdb
timed "local Kubernetes (10 minutes when cold)" build_cluster
timed "binaries (17 minutes when cold)" build_binaries
