#!/usr/bin/env bash
# A file of ours has at most 500 lines; the longest are named when one has outgrown its room.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
cd "$root"
long=$(git ls-files '*.rs' '*.go' '*.sh' | xargs wc -l | awk '$2 != "total" && $1 > 500')
[[ -z $long ]] || die "files of more than 500 lines, split them by what they are about:"$'\n'"$long"
