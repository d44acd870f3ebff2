#!/usr/bin/env bash
# Holds every service to its OpenAPI document: schemathesis asks each one, on a PostgreSQL and a vector store of its own, for a
# minute. All four run, so that none has to refuse what another would do for it.
# SCHEMA_SECONDS bounds the time for a service; SCHEMA_SERVICES names those that are asked.
set -euo pipefail
source "$(dirname "$0")/../tools/lib.sh"
cd "$root"

seconds=${SCHEMA_SECONDS:-60}
services=${SCHEMA_SERVICES:-memory knowledge governance sync}
version=4.32.5
tool=$cache/schemathesis-$version/bin/schemathesis

# What is asked about a right request cannot stand in a schema alone (a policy's name may be taken), so whether it is
# accepted is not looked at.
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance
checks+=,response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method
checks+=,allow_header_conformance,use_after_free,ensure_resource_availability

install_tool() {
  [[ -x $tool ]] && return
  python3 -m venv "$cache/schemathesis-$version" 2>/dev/null || die "python3-venv is missing: run \`make deps\`"
  "$cache/schemathesis-$version/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version"
}

dir=$(mktemp -d)
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$dir"
}
trap finish EXIT

# A port that nobody listens on.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# PostgreSQL refuses to run as root.
as_postgres() {
  if [[ $EUID == 0 ]]; then
    setpriv --reuid=postgres --regid=postgres --init-groups "$@"
  else
    "$@"
  fi
}

start_postgres() {
  local programs
  programs=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
  chmod 755 "$dir"
  install -d -m 700 "$dir/pg"
  [[ $EUID != 0 ]] || chown postgres: "$dir/pg"
  postgres_port=$(free_port)
  as_postgres "$programs/initdb" -A trust -U postgres --no-sync --locale=C.UTF-8 -D "$dir/pg/data" >"$dir/initdb.log"
  as_postgres "$programs/postgres" -D "$dir/pg/data" -p "$postgres_port" -k '' -h 127.0.0.1 -c fsync=off \
    >"$dir/postgres.log" 2>&1 &
  pids+=($!)
  for _ in $(seq 100); do
    psql -qh 127.0.0.1 -p "$postgres_port" -U postgres -c '' 2>/dev/null && break
    sleep 0.1
  done
  psql -qh 127.0.0.1 -p "$postgres_port" -U postgres \
    -c "create role aeterna login createrole createdb password 'aeterna'"
}

start_vectorstore() {
  local port
  port=$(free_port)
  store_url=http://127.0.0.1:$port
  "$dir/aeterna-vectorstore" --listen "127.0.0.1:$port" --data "$dir/vectors" 2>"$dir/vectorstore.log" &
  pids+=($!)
  for _ in $(seq 100); do
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
    sleep 0.1
  done
  cat "$dir/vectorstore.log"
  die "the vector store does not come up"
}

# What the tenant's sources of sync may read: a directory, and a secret.
lay_out_sources() {
  mkdir -p "$dir/directories/acme/handbook" "$dir/secrets/acme"
  cp -r "$root/examples/handbook/." "$dir/directories/acme/handbook"
  printf 'token' >"$dir/secrets/acme/token"
  openssl genpkey -algorithm ed25519 -out "$dir/key.pem" 2>/dev/null
}

# Starts a service on a database of its own; its URL is in urls.
declare -A urls=()
start_service() {
  local name=$1 port database
  port=$(free_port)
  urls[$name]=http://127.0.0.1:$port
  database=postgres://aeterna:aeterna@127.0.0.1:$postgres_port/$name
  psql -qh 127.0.0.1 -p "$postgres_port" -U aeterna -d postgres -c "create database $name"
  DATABASE_URL=$database "$dir/$name-service" migrate 2>"$dir/$name.log"
  if [[ $name == memory ]]; then
    DATABASE_URL=$database "$dir/aeterna-shard" --store-url "$store_url"
  fi
  env DATABASE_URL="$database" PORT="$port" AUTH_MODE=disabled AUTH_DEFAULT_TENANT=acme \
    EMBEDDING_WEIGHTS_DIR="$cache/embedding/wordllama-256" SIGNING_KEY_FILE="$dir/key.pem" \
    AUDIT_CHECKPOINT_DIR="$dir/checkpoints" MEMORY_SERVICE_URL="${urls[memory]}" \
    KNOWLEDGE_SERVICE_URL="${urls[knowledge]:-}" SYNC_DIRECTORY_ROOT="$dir/directories" \
    SYNC_SECRETS_DIRECTORY="$dir/secrets" SYNC_GIT_DIRECTORY="$dir/git" \
    "$dir/$name-service" serve 2>>"$dir/$name.log" &
  pids+=($!)
  for _ in $(seq 100); do
    curl -fso /dev/null "${urls[$name]}/ready" && return
    sleep 0.1
  done
  cat "$dir/$name.log"
  die "$name-service does not become ready"
}

# What the tool cannot know: a precondition that is missing is 428 (RFC 6585), and a tar is bytes.
configure_tool() {
  cat >"$dir/schemathesis.toml" <<'TOML'
[checks.missing_required_header]
expected-statuses = [400, 401, 403, 406, 415, 422, 428]
TOML
  cat >"$dir/hooks.py" <<'PYTHON'
import schemathesis


@schemathesis.serializer("application/x-tar")
def tar(context, value):
    return value if isinstance(value, bytes) else str(value).encode()
PYTHON
}

install_tool
configure_tool
cargo build --quiet --locked --workspace --bins
# Another build in the same directory must not change what is asked.
cp "$CARGO_TARGET_DIR"/debug/{{memory,knowledge,governance,sync}-service,aeterna-vectorstore,aeterna-shard} "$dir/"
start_postgres
start_vectorstore
lay_out_sources
# In the order in which they need each other.
for name in memory knowledge governance sync; do start_service "$name"; done
failed=()
for name in $services; do
  say "-- $name, $seconds s"
  # It remembers what it has asked where it stands.
  if (cd "$dir" && PYTHONPATH="$dir" SCHEMATHESIS_HOOKS=hooks "$tool" --no-color run "$root/services/$name/openapi.json" --url "${urls[$name]}" --max-time "$seconds" \
    --checks "$checks" --workers 1 --continue-on-failure --seed 1 --request-timeout 20 --warnings off); then
    printf 'ok  %s keeps to its document\n' "$name"
  else
    failed+=("$name")
    grep -E '"level":"(WARN|ERROR)"' "$dir/$name.log" | tail -20 || true
  fi
done
((${#failed[@]} == 0)) || die "${failed[*]} do not keep to their documents"
