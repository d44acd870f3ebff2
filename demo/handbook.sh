# The demo's second scene: a handbook in git becomes knowledge, a model is told what it needs of it, and what people agree on
# decides what may be done.
# shellcheck shell=bash

# Where the services are, by name.
declare -A at=()

# Asks a service as somebody: `ask ann:Architect GET governance /api/v1/…`, with a body of JSON where there is one.
ask() {
  local who=$1 method=$2 service=$3 path=$4 body=${5:-}
  curl -sS --max-time 30 -X "$method" "${at[$service]}$path" -H 'X-Tenant-ID: initech' \
    -H "X-Subject: ${who%:*}" -H "X-Roles: ${who#*:}" ${body:+-H 'Content-Type: application/json' -d "$body"}
}

# Reads a field of an answer; an answer without it ends the demo.
field() {
  local path=$1 answer=$2
  jq -er "$path" <<<"$answer" || die "no $path in the answer: $answer"
}

# Serves examples/handbook as a git repository over smart HTTP, inside the node's network.
serve_handbook() {
  local git=$state/git work=$state/handbook
  rm -rf "$git" "$work"
  cp -r "$root/examples/handbook" "$work"
  git -C "$work" init -q --initial-branch=main
  git -C "$work" add --all
  git -C "$work" -c user.name=Ann -c user.email=ann@example.com commit -q --message='The handbook'
  git clone -q --bare "$work" "$git/handbook.git"
  touch "$git/handbook.git/git-daemon-export-ok"
  cat >"$state/lighttpd.conf" <<CONF
server.document-root = "$git"
server.bind = "$address"
server.port = 8080
server.modules = ("mod_alias", "mod_setenv", "mod_cgi")
alias.url = ("/git" => "/usr/lib/git-core/git-http-backend")
\$HTTP["url"] =~ "^/git/" {
  setenv.set-environment = ("GIT_PROJECT_ROOT" => "$git", "GIT_CONFIG_COUNT" => "1",
    "GIT_CONFIG_KEY_0" => "safe.directory", "GIT_CONFIG_VALUE_0" => "*")
  cgi.assign = ("" => "")
}
CONF
  in_node lighttpd lighttpd -D -f "$state/lighttpd.conf"
  await "the git server" 20 "$cluster" exec --name "$name" -- git ls-remote "http://$address:8080/git/handbook.git"
}

# Gives the audit log's checkpoints a place outside of the database: a directory of this machine, as a volume. Elsewhere that
# is a class of storage that many pods can write to.
keep_checkpoints() {
  # Who the services' pods run as.
  install -d -m 700 -o 65532 -g 65532 "$state/checkpoints"
  kubectl apply -f - >/dev/null <<YAML
apiVersion: v1
kind: PersistentVolume
metadata:
  name: aeterna-checkpoints
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteMany]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: ""
  claimRef: {namespace: $namespace, name: aeterna-checkpoints}
  hostPath: {path: $state/checkpoints, type: Directory}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: aeterna-checkpoints
  namespace: $namespace
spec:
  accessModes: [ReadWriteMany]
  storageClassName: ""
  volumeName: aeterna-checkpoints
  resources: {requests: {storage: 1Gi}}
YAML
  kubectl wait -n "$namespace" --for=jsonpath='{.status.phase}'=Bound persistentvolumeclaim/aeterna-checkpoints --timeout=30s >/dev/null
}

# Turns on what the quickstart leaves out: signed policies for all services, checkpoints of the audit log, and a git server
# that is not public.
turn_on_policies() {
  keep_checkpoints
  openssl genpkey -algorithm ed25519 -out "$state/signing.pem" 2>/dev/null
  kubectl create secret generic aeterna-signing -n "$namespace" --dry-run=client -o yaml \
    --from-file=private="$state/signing.pem" \
    --from-file=public=<(openssl pkey -in "$state/signing.pem" -pubout) | kubectl apply -f - >/dev/null
  kubectl patch aeternacluster aeterna -n "$namespace" --type merge -p '{"spec":{
    "governance": {"signingKeySecretRef": {"name": "aeterna-signing", "key": "private"},
                   "publicKeySecretRef": {"name": "aeterna-signing", "key": "public"},
                   "checkpointClaim": "aeterna-checkpoints"},
    "services": {"governance": {"env": {"AUDIT_CHECKPOINT_SECONDS": "2"}},
                 "sync": {"env": {"SYNC_ALLOW_HOSTS": "'"$address"'"}}}}}' | sed 's/^/    /'
  local service
  for service in memory knowledge governance sync; do
    await "the operator" 30 has_new_template "$service-service"
  done
  for service in memory knowledge governance sync; do
    kubectl rollout status -n "$namespace" "deployment/$service-service" --timeout=180s >/dev/null
    note "$service-service runs with them"
  done
}

has_new_template() { kubectl get deployment "$1" -n "$namespace" -o json | jq -e '[.. | .secret?.name? // empty] | index("aeterna-signing")'; }

sync_handbook() {
  local job state_of
  job=$(ask ann:Architect POST sync /api/v1/sync/start '{
    "source": {"type": "git", "config": {"url": "http://'"$address"':8080/git/handbook.git"}},
    "target": {"type": "knowledge", "layer": "team"}}')
  job=$(field .id "$job")
  for _ in {1..6}; do
    state_of=$(ask ann:Architect GET sync "/api/v1/sync/status/$job?wait=10s")
    [[ $(field .status "$state_of") =~ ^(queued|running)$ ]] || break
  done
  [[ $(field .status "$state_of") == succeeded ]] || die "the job has not succeeded: $state_of"
  note "$(jq -r '"job \(.status): \(.progress.added) added of \(.progress.processed)"' <<<"$state_of")"
  note "related to specs/retry-budget.md, by links:"
  ask dev:Developer GET knowledge '/api/v1/knowledge/specs/retry-budget.md?view=relations&depth=3' |
    jq -r '.relations[] | "    \(.depth)\t\(.path)"' | expand -t 8
}

assemble_context() {
  local context
  context=$(ask dev:Developer POST knowledge /api/v1/context/assemble \
    '{"query": "how do I retry a failed write to the vector store?", "tokenBudget": 400}')
  note "$(field '"\(.totalTokens) of \(.tokenBudget) tokens (\(.encoding)), in \(.tookMs) ms, linked: \(.linked), partial: \(.partial)"' "$context")"
  jq -r '.entries[] | "    \(.tokens)\t\(.depth)\t\(.ref)"' <<<"$context" | expand -t 12,24
  jq -e '.totalTokens <= .tokenBudget and (.entries | length) > 1' <<<"$context" >/dev/null || die "the context does not fit"
}

# A policy is drafted, agreed on by two, and in force from then on, in every service.
agree_on_policy() {
  local policy request made
  policy=$(ask ann:Architect POST governance /api/v1/policies '{
    "name": "legal-hold", "type": "cedar", "layer": "company", "mode": "mandatory", "status": "draft",
    "description": "Nothing is deleted while the case is open.",
    "cedar": "forbid (principal, action == Action::\"memory.delete\", resource);"}')
  note "ann drafts: forbid (principal, action == Action::\"memory.delete\", resource);"
  # Who votes is known to the service from what they did before.
  ask bob:Architect GET governance /api/v1/policies >/dev/null
  ask cid:Architect GET governance /api/v1/policies >/dev/null
  made=$(ask ann:Architect POST governance /api/v1/approval/request '{
    "requestType": "policy", "title": "legal hold", "riskLevel": "high", "justification": "a case is open",
    "payload": {"policyId": "'"$(field .id "$policy")"'", "version": 1}}')
  request=$(field .id "$made")
  note "$(field '"\(.requestNumber): \(.status), \(.eligibleApprovers) could approve"' "$made")"
  note "ann herself: $(field .code "$(decide ann:Architect "$made")")"
  for who in bob:Architect cid:Architect; do
    note "${who%:*}: $(field '"\(.request.status), \(.quorum.approved) of \(.quorum.required)"' "$(decide "$who" "$made")")"
  done
  note "applied: $(field .status "$(ask ann:Architect POST governance "/api/v1/approval/apply/$request" \
    '{"payloadHash": "'"$(field .payloadHash "$made")"'"}')")"
}

decide() {
  ask "$1" POST governance /api/v1/approval/decide \
    '{"requestId": "'"$(field .id "$2")"'", "decision": "approve", "comment": "read", "payloadHash": "'"$(field .payloadHash "$2")"'"}'
}

be_denied() {
  local memory decision denied
  decision=$(ask gate:Viewer POST governance /api/v1/policies/evaluate '{
    "subject": {"type": "user", "id": "tom", "properties": {"roles": ["TechLead"]}},
    "action": {"name": "memory.delete"}, "resource": {"type": "memory", "id": "any"}}')
  note "may tom, a TechLead, delete a memory? $(field '"\(.decision | tostring), because of \(.context.determining | join(", "))"' "$decision")"
  [[ $(jq .decision <<<"$decision") == false ]] || die "the policy does not deny: $decision"
  note "the other services decide by the signed policies that they fetch every few seconds"
  await "the policy in every pod of the memory service" 60 denies_everywhere
  memory=$(ask dev:Developer POST memory /api/v1/memories '{"content": "The customer asked for a refund.", "layer": "user"}')
  memory=$(field .id "$memory")
  denied=$(ask tom:TechLead DELETE memory "/api/v1/memories/$memory")
  [[ $(field .code "$denied") == FORBIDDEN ]] || die "the memory service does not deny: $denied"
  note "tom tries: $(jq -r .detail <<<"$denied")"
  note "still there: $(field .content "$(ask dev:Developer GET memory "/api/v1/memories/$memory")")"
}

# Asks each pod to delete a memory that nobody has: whoever allows it does no harm.
denies_everywhere() {
  local pod pods answer
  pods=$(kubectl get pods -n "$namespace" -l app=memory-service -o json |
    jq -r '.items[] | select(.metadata.deletionTimestamp == null) | .status.podIP // "none"')
  [[ -n $pods ]] || return 1
  for pod in $pods; do
    answer=$("$cluster" exec --name "$name" -- curl -sS --max-time 5 -X DELETE \
      "http://$pod:8001/api/v1/memories/00000000-0000-7000-8000-000000000000" \
      -H 'X-Tenant-ID: initech' -H 'X-Subject: tom' -H 'X-Roles: TechLead') || return 1
    [[ $(jq -r .code <<<"$answer") == FORBIDDEN ]] || return 1
  done
}

verify_audit() {
  local verdict
  await "a checkpoint of the audit log" 30 has_checkpoint
  verdict=$(ask tom:TechLead GET governance /api/v1/audit/verify)
  note "$(field '"valid: \(.valid | tostring), \(.headSeq) events, head \(.headHash[0:16])…"' "$verdict")"
  note "$(field '"checkpoints outside of the database: \(.anchor.state), \(.anchor.checkpoints), the last of event \(.anchor.lastSeq)"' "$verdict")"
  jq -e .valid <<<"$verdict" >/dev/null || die "the chain does not verify"
  ask tom:TechLead GET governance '/api/v1/audit?limit=100' |
    jq -r '.items[] | select(.action | startswith("approval") or startswith("policy")) | "    \(.seq)\t\(.actor.id)\t\(.action)\t\(.outcome)"' |
    expand -t 10,18,36 | head -n 8
}

has_checkpoint() { jq -e '.anchor.checkpoints > 0' <<<"$(ask tom:TechLead GET governance /api/v1/audit/verify)"; }

handbook() {
  step "signed policies in all services: one patch"
  turn_on_policies
  local service port
  for service in memory:8001 knowledge:8002 governance:8003 sync:8004; do
    port=${service#*:} service=${service%:*}
    [[ $service == memory ]] && at[memory]=$url && continue
    at[$service]=$(reach "$service-service" "$port")
  done
  step "a git repository of Markdown becomes knowledge"
  serve_handbook
  sync_handbook
  step "a context for a model, within 400 tokens"
  assemble_context
  step "an approval is asked and given"
  agree_on_policy
  step "a policy denies"
  be_denied
  step "the audit chain verifies"
  verify_audit
}
