#!/usr/bin/env bash
# The demo: real text on a real Kubernetes, and a tenant that moves while it is written and read.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/handbook.sh"

url=
# The way to the memory service of an external cluster.
forward=
trap 'status=$?; [[ -z $forward ]] || kill "$forward"; ((status == 0)) || explain; exit $status' EXIT

load() { "$binaries/aeterna-load" --url "$url" "$@"; }
status() { kubectl get tenantshard large-corp -n "$namespace" -o jsonpath="$1"; }

prepare() {
  if [[ ${CLUSTER:-} == external ]]; then
    : "${DATABASE_URL:?CLUSTER=external wants DATABASE_URL: postgres://… of an empty database, as the pods reach it}"
    : "${REDIS_URL:?CLUSTER=external wants REDIS_URL: redis://…, as the pods reach it}"
    : "${VECTOR_STORE_URL:?CLUSTER=external wants VECTOR_STORE_URL: http://… of Qdrant\'s gRPC, as the pods reach it}"
    state=$(mktemp -d)
    step "using the cluster of KUBECONFIG; it must be able to pull aeterna/*:$version"
  else
    [[ $EUID == 0 ]] || die "the local node needs root: run make demo in a root shell, or set KUBECONFIG and CLUSTER=external"
    unset KUBECONFIG
    step "starting a Kubernetes node, PostgreSQL, Redis and the vector store"
    start_node
  fi
  step "installing the operator"
  install_operator
  step "applying examples/quickstart: one AeternaCluster, three TenantShards"
  kubectl apply -f "$root/examples/quickstart/1-namespace.yaml" >/dev/null
  make_secret
  # The example names the demo's own vector store.
  local file
  for file in "$root"/examples/quickstart/*.yaml; do
    printf -- '---\n'
    sed "s|http://[0-9.]*:6334|$VECTOR_STORE_URL|" "$file"
  done | kubectl apply -f - | sed 's/^/    /'
  kubectl wait --for=condition=Ready aeternacluster/aeterna -n "$namespace" --timeout=180s | sed 's/^/    /'
  kubectl wait --for=condition=Ready tenantshard --all -n "$namespace" --timeout=60s | sed 's/^/    /'
}

reach_memory_service() {
  if [[ ${CLUSTER:-} == external ]]; then
    kubectl port-forward -n "$namespace" service/memory-service :8001 >"$state/forward.log" 2>&1 &
    forward=$!
    await "the way to the memory service" 20 grep -q Forwarding "$state/forward.log"
    url=http://$(sed -n 's/^Forwarding from \(127[^ ]*\).*/\1/p' "$state/forward.log" | head -n 1)
    return
  fi
  url=$(reach memory-service 8001)
}

fill() {
  local corpus=()
  [[ -z ${CORPUS:-} ]] || corpus=(--corpus "$CORPUS")
  if [[ -z ${CORPUS:-} ]] && (($(apt-cache dumpavail 2>/dev/null | grep -c '^Package:') <= 22000)); then
    note "apt's lists are empty: apt-get update"
    apt-get update -qq
  fi
  load --tenant acme fill "${corpus[@]}" --count 400
  load --tenant globex fill "${corpus[@]}" --skip 400 --count 300
  load --tenant large-corp fill "${corpus[@]}" --skip 700 --count "${COUNT:-20500}"
}

search() {
  load --tenant large-corp search "a web server written in Rust"
  load --tenant large-corp search "play chess against the computer"
  load --tenant large-corp search "recover deleted photos from a memory card"
}

# Follows the move until the placement is the wanted one, for this generation of the spec.
follow() {
  local wanted=$1 last='' now until=$((SECONDS + 180))
  while :; do
    now=$(status '{.status.move.progress} {.status.move.step}  copied {.status.move.copied} of {.status.move.total}, caught up {.status.move.caughtUp}, compared {.status.move.compared}')
    [[ $now == "$last" || $now == ' '* ]] || note "$now"
    last=$now
    [[ $(status '{.status.placement.shard}') == "$wanted" ]] &&
      [[ $(status '{.status.conditions[?(@.type=="Ready")].observedGeneration}') == $(status '{.metadata.generation}') ]] &&
      [[ $(status '{.status.conditions[?(@.type=="Ready")].status}') == True ]] && return
    ((SECONDS < until)) || die "the move has not ended within 180 s"
    sleep 0.3
  done
}

move() {
  local placement=$1 wanted=$2 traffic
  # Not through `load`: the signal below must reach the program itself.
  "$binaries/aeterna-load" --url "$url" --tenant large-corp traffic --writes-per-second 100 >"$state/traffic.log" 2>&1 &
  traffic=$!
  sleep 2
  kubectl patch tenantshard large-corp -n "$namespace" --type merge -p "{\"spec\":{\"placement\":$placement}}" | sed 's/^/    /'
  follow "$wanted"
  kill -TERM "$traffic"
  wait "$traffic" || { cat "$state/traffic.log"; die "the client's log does not match"; }
  note "write pause at the switch: $(status '{.status.move.writePauseMicroseconds}') µs, cutovers tried: $(status '{.status.move.cutoverTries}')"
  note "verified $(status '{.status.move.compared}') points at $(status '{.status.move.verifiedAt}'), repaired $(status '{.status.move.repaired}')"
  tail -n 3 "$state/traffic.log"
}

prepare
reach_memory_service
step "storing real text: descriptions of Debian packages"
fill
step "three searches"
search
step "moving large-corp to a collection of its own, while it is written and read"
move '{"mode":"Dedicated"}' dedicated-large-corp
step "kubectl describe tenantshard large-corp"
kubectl describe tenantshard large-corp -n "$namespace" | sed 's/^/    /'
step "moving it back to the shared shard"
move '{"mode":"Shared","shared":{"shard":"shared-shard-1"}}' shared-shard-1
load --tenant large-corp search "a web server written in Rust"
# Its git server stands in the node's network, where pods of another cluster cannot reach it.
[[ ${CLUSTER:-} == external ]] || handbook
step "done in $((SECONDS - began)) s; the cluster stays up"
cat <<TEXT
    export KUBECONFIG=$KUBECONFIG
    kubectl get aeterna -n $namespace
    curl -s $url/api/v1/memories/search -H 'X-Tenant-ID: large-corp' -H 'Content-Type: application/json' -d '{"query":"a mail client"}'
    curl -s ${at[knowledge]:-}/api/v1/knowledge/search -H 'X-Tenant-ID: initech' -H 'Content-Type: application/json' -d '{"query":"retry"}'
    $binaries/aeterna-cli tenant status
    make demo-down        # stops it and removes all that it made
TEXT
