# Shared by the demo's scripts: where things are, and the node with what runs beside it.
# shellcheck shell=bash
source "$(dirname "${BASH_SOURCE[0]}")/../tools/lib.sh"

name=${DEMO_NAME:-aeterna-demo}
namespace=aeterna
version=0.1.0
binaries=$CARGO_TARGET_DIR/debug
cluster=$(make -s -C "$root/tests/cluster" path)
export PATH="$(dirname "$cluster"):$PATH"
# Set by `locate`.
state=

began=$SECONDS
step() { printf '\n\033[1m[%3d s] %s\033[0m\n' $((SECONDS - began)) "$*"; }
note() { printf '    %s\n' "$*"; }

# Finds the node that is up: its address, its files, and the demo's own beside them, so that they go with it.
locate() {
  export KUBECONFIG
  KUBECONFIG=$("$cluster" kubeconfig --name "$name")
  address=$("$cluster" address --name "$name")
  state=$(dirname "$KUBECONFIG")/demo
  [[ -d $state ]] || install -d -m 755 "$state"
  [[ -e $state/password ]] ||
    (umask 077 && printf 'demo-%s' "$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')" >"$state/password")
  password=$(cat "$state/password")
}

# Runs a server inside the node's network, detached; `down` ends it with the node.
in_node() {
  local server=$1
  shift
  setsid "$cluster" exec --name "$name" -- "$@" >>"$state/$server.log" 2>&1 </dev/null &
  echo $! >"$state/$server.pid"
}

# Waits until a command succeeds, for at most so many seconds.
await() {
  local what=$1 limit=$2
  shift 2
  local until=$((SECONDS + limit))
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < until)) || die "$what does not come up within $limit s; logs are in $state"
    sleep 0.2
  done
}

start_postgres() {
  local bin data=$state/postgres
  bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
  if [[ ! -d $data ]]; then
    install -d -o postgres -g postgres "$data"
    setpriv --reuid=postgres --regid=postgres --init-groups \
      "$bin/initdb" -D "$data" -U postgres --auth-local=trust --auth-host=scram-sha-256 --locale=C.UTF-8 >"$state/initdb.log"
    echo 'host all all all scram-sha-256' >>"$data/pg_hba.conf"
  fi
  in_node postgres setpriv --reuid=postgres --regid=postgres --init-groups \
    "$bin/postgres" -D "$data" -k "$data" -h "$address" -c max_connections=200
  await PostgreSQL 20 "$bin/pg_isready" -h "$data"
  setpriv --reuid=postgres --regid=postgres --init-groups psql -qX -h "$data" -v password="$password" <<'SQL' >"$state/psql.log" 2>&1
select format('create role aeterna login createrole password %L', :'password')
where not exists (select from pg_roles where rolname = 'aeterna') \gexec
select 'create database aeterna owner aeterna' where not exists (select from pg_database where datname = 'aeterna') \gexec
SQL
}

start_redis() { in_node redis redis-server --bind "$address" --protected-mode no --save '' --dir "$state"; }

start_vectorstore() { in_node vectorstore "$binaries/aeterna-vectorstore" --listen "$address:6334" --data "$state/vectors"; }

load_images() {
  local weights duckdb
  weights=$("$root/services/memory/fetch-weights.sh")
  duckdb=$("$root/services/knowledge/fetch-duckdb.sh")
  "$cluster" load-image --name "$name" \
    --image "aeterna/operator:$version" --binary "$binaries/aeterna-operator" \
    --image "aeterna/relocator:$version" --binary "$binaries/aeterna-relocator" \
    --image "aeterna/memory-service:$version" --binary "$binaries/memory-service" \
    --file "$weights/model.safetensors:/usr/share/aeterna/wordllama-256/model.safetensors" \
    --file "$weights/tokenizer.json:/usr/share/aeterna/wordllama-256/tokenizer.json" \
    --image "aeterna/knowledge-service:$version" --binary "$binaries/knowledge-service" \
    --file "$duckdb:/usr/lib/libduckdb.so" \
    --image "aeterna/governance-service:$version" --binary "$binaries/governance-service" \
    --image "aeterna/sync-service:$version" --binary "$binaries/sync-service" >"$state/images.log" 2>&1
}

# Brings up the node, what runs beside it, and the Secret that the cluster reads.
start_node() {
  "$cluster" up --name "$name" ${DEMO_OWNER:+--owner-pid "$DEMO_OWNER"} 2>&1 | sed 's/^/    /'
  locate
  start_postgres
  start_redis
  start_vectorstore
  DATABASE_URL=postgres://aeterna:$password@$address:5432/aeterna
  REDIS_URL=redis://$address:6379
  VECTOR_STORE_URL=http://$address:6334
  load_images || die "the images cannot be loaded; see $state/images.log"
}

# Opens the way to a Service of the node's; returns its URL.
reach() {
  local service=$1 port=$2 ip
  ip=$(kubectl get service "$service" -n "$namespace" -o jsonpath='{.spec.clusterIP}')
  printf 'http://%s' "$("$cluster" forward --name "$name" --to "$ip:$port" 2>/dev/null)"
}

install_operator() {
  kubectl apply -k "$root/config/install" >/dev/null
  kubectl wait --for=condition=Established crd/aeternaclusters.aeterna.dev crd/tenantshards.aeterna.dev --timeout=30s >/dev/null
  kubectl rollout status -n aeterna-system deployment/aeterna-operator --timeout=120s >/dev/null
}

make_secret() {
  kubectl create secret generic aeterna-secrets -n "$namespace" --dry-run=client -o yaml \
    --from-literal=database-url="$DATABASE_URL" --from-literal=redis-url="$REDIS_URL" | kubectl apply -f - >/dev/null
}

# What somebody who looks for the cause wants to see first.
explain() {
  printf '\nwhat the cluster says:\n'
  kubectl get pods -A -o wide 2>&1 | sed 's/^/    /'
  kubectl get aeterna -n "$namespace" 2>&1 | sed 's/^/    /'
  kubectl get events -n "$namespace" --sort-by=.lastTimestamp 2>&1 | tail -n 15 | sed 's/^/    /'
  kubectl logs -n aeterna-system deployment/aeterna-operator --tail=20 2>&1 | sed 's/^/    /'
  [[ -z $state ]] || printf 'more logs are in %s; remove all with: make demo-down\n' "$state"
}
