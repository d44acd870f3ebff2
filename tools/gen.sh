#!/usr/bin/env bash
# Writes what is generated and committed: CRDs, the OpenAPI document, snapshots. Tests compare them with the sources.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
cd "$root"
claim_target

cargo run --quiet --locked -p aeterna-crds --bin crdgen -- crds/yaml
cargo run --quiet --locked -p memory-service -- openapi >services/memory/openapi.json.new
mv services/memory/openapi.json.new services/memory/openapi.json
cargo run --quiet --locked -p governance-service -- openapi >services/governance/openapi.json.new
mv services/governance/openapi.json.new services/governance/openapi.json
cargo run --quiet --locked -p governance-service --example rbac >docs/rbac.md.new
mv docs/rbac.md.new docs/rbac.md
INSTA_UPDATE=always cargo test --quiet --locked -p aeterna-plan >/dev/null
git status --short -- crds/yaml services/memory/openapi.json services/governance/openapi.json docs/rbac.md '*.snap'
