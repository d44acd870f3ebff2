#!/usr/bin/env bash
# Stops the demo's node with all that runs in it, and removes what it stored beside the node.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
"$cluster" down --name "$name"
