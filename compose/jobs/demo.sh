#!/bin/bash
# The main job against the Compose stack, in a container of `tools` with a writable /work: load a
# graph, place it, move it while a workload writes, and count what is lost. It is ./dev's demo, step
# by step, less what a stack that was used before needs.
set -euo pipefail
root=/usr/share/prism
stack=$root/tools/stack
# shellcheck source=tools/stack/common.sh
. "$stack/common.sh"
# shellcheck source=tools/stack/services.sh
. "$stack/services.sh"
# shellcheck source=tools/stack/demo.sh
. "$stack/demo.sh"
# shellcheck source=compose/jobs/nodes.sh
. "$root/jobs/nodes.sh"

graph=${1:-/graphs/ego-twitter.txt.xz}
state=/work dir=/work out=/work/demo partitions=$PRISM_PARTITIONS workload_rc=0 cmd=()
step() { printf '[%4d s] %s\n' "$SECONDS" "$*" >&2; }
# shellcheck disable=SC2317 # demo.sh calls it
api_url() { printf '%s\n' "$PRISM_API_URL"; }
# shellcheck disable=SC2317 # demo.sh calls it
dr_ships() { prismctl -o json dr status 2>/dev/null | jq -e 'any(.shards[]?; .state == "streaming")' >/dev/null; }

# What demo.sh expects of a stack's directory.
mkdir -p "$out" "$dir/run"
ln -sfn /usr/bin "$dir/bin"
ln -sfn /run/secrets "$dir/secrets"
ln -sfn "$PRISM_TOKEN_FILE" "$dir/token"
cat >"$dir/env" <<EOC
IT_REDIS_SEEDS=$PRISM_REDIS_SEEDS
IT_CLIENT_REDIS_USER=$PRISM_REDIS_USER
IT_NATS_URL=$PRISM_NATS_URL
IT_ZONES=$(nodes_zoned)
EOC

step "load $(basename "$graph")"
tool load load --graph "$graph" --partitions "$partitions"
step "measure before"
measure before "$graph"
step "place"
long placement operationId placement run --graph "$graph"
step "plan"
long plan operationId plan create --run "$(jq -e .id "$out/placement.json")"
step "move, while the workload reads and writes"
move_live "$graph" "$(jq -e .id "$out/plan.json")"
step "measure after"
fetch_routes
measure after "$graph" --routes "$out/routes"
PRISM_DEMO_ROUNDS=1 second_round "$graph"
verify
demo_dr
demo_table
