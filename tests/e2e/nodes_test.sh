#!/usr/bin/env bash
# Nodes of the local stack: ./dev node add says how to join them; they are joined and
# drained while clients read and write, and removed; ./dev down and up know them; a
# dead node is replaced. What clients had written is there at the end.
set -euo pipefail
# shellcheck source=tests/support/session.sh
. "$(dirname "$0")/../support/session.sh"

graph=$PRISM_STATE.graph.txt
ledger=$PRISM_STATE.ledger

ctl() { PRISM_API_URL=$(address) PRISM_TOKEN_FILE=$PRISM_STATE/token "$PRISM_STATE/bin/prismctl" "$@"; }
stack() { sed -n "s/^$1=//p" "$PRISM_STATE/env"; }

data_plane() { # PROGRAM ARGS...: sets cmd
    cmd=(env PRISM_REDIS_USER=client "PRISM_REDIS_PASSWORD_FILE=$PRISM_STATE/secrets/redis-client"
        "PRISM_REDIS_SEEDS=$(stack IT_REDIS_SEEDS)" "$PRISM_STATE/bin/$1" --partitions 4096 --json "${@:2}")
}

# What `./dev node add` says is the command that joins the node; prints its NODE.
add_node() { # ZONE
    local line
    line=$("$root/dev" node add --zone "$1") || fail "./dev node add"
    [[ $line == "prismctl node join redis-"*"@$1" ]] || fail "./dev node add said: $line"
    printf '%s\n' "${line##* }"
}
zone_of() { # NODE: as prism-workload wants it, "127.0.0.1:7432=a"
    local at=${1#*=}
    printf '%s=%s\n' "${at%@*}" "${at#*@}"
}

state_of() { ctl -o json node get "$1" | jq -r .state; }
has_failed() { [ "$(state_of "$1")" = failed ]; }
topology_ok() { [ "$(ctl -o json topology | jq -r .state)" = ok ]; }
slots_of() { ctl -o json node list | jq --arg ids "$*" '[.items[] | select([.id] | inside($ids / " ")) | .slots] | add // 0'; }

# All slots served, none open, and every node knows all the others.
check_cluster() { # NODES
    local port list
    for port in $(ctl -o json node list --state up | jq -r '.items[].port'); do
        list=$(REDISCLI_AUTH=$(<"$admin_secret") redis-cli --no-auth-warning --user admin -p "$port" \
            cluster nodes) || fail "redis $port does not answer"
        [ "$(grep -c . <<<"$list")" -eq "$1" ] || fail "redis $port knows not $1 nodes: $list"
        ! grep -qE '\[[0-9]+-[<>]-' <<<"$list" || fail "a slot is open: $list"
    done
    ctl -o json topology | jq -e '([.shards[].slots] | add) == 16384 and
        ([.shards[] | select((.replicas | length) == 0)] | length) == 0' >/dev/null ||
        fail "topology: $(ctl -o json topology | jq -c .shards)"
}
# A plan that would leave a zone without a primary is refused, with the reason.
check_refusal() {
    local primaries
    mapfile -t primaries < <(ctl -o json node list --zone c --role primary | jq -r '.items[].id')
    if ctl node drain "${primaries[@]}" --yes >"$PRISM_STATE.refused" 2>&1; then
        fail "every primary of zone c was drained"
    fi
    grep 'zone c' "$PRISM_STATE.refused" >/dev/null || fail "refused without a reason: $(<"$PRISM_STATE.refused")"
}

session_open 6 1
admin_secret=$PRISM_STATE/secrets/redis-admin
planted_graph "$graph" 20 100 7
rm -f "$ledger"
data_plane prism-load --graph "$graph"
"${cmd[@]}" >/dev/null || fail "prism-load"

node=("$(add_node a)" "$(add_node b)")
id=("${node[0]%%=*}" "${node[1]%%=*}")
"$root/dev" status | grep "${id[0]} is in no cluster" >/dev/null || fail "./dev status knows no ${id[0]}"

data_plane prism-workload --graph "$graph" --seconds 0 --write-ratio 0.2 --ledger "$ledger" --seed 2 \
    --zones "$(stack IT_ZONES),$(zone_of "${node[0]}"),$(zone_of "${node[1]}")"
"${cmd[@]}" >"$PRISM_STATE.workload.out" 2>"$PRISM_STATE.workload.log" &
writer=$!
trap 'kill -TERM "$writer" 2>/dev/null || true; session_close' EXIT

ctl node join "${node[@]}" --yes || fail "prismctl node join"
await 20 "the topology" topology_ok || fail "after the join: $(ctl topology)"
check_cluster 14
check_refusal
[ "$(slots_of "${id[@]}")" -gt 0 ] || fail "the new shard serves no slot"
if "$root/dev" node remove "${id[0]}"; then
    fail "./dev node remove took a member of the cluster"
fi

ctl node drain "${id[@]}" --yes || fail "prismctl node drain"
await 20 "the topology" topology_ok || fail "after the drain: $(ctl topology)"
check_cluster 12
[ "$(ctl -o json node list | jq '.items | length')" = 12 ] || fail "the drained nodes are still registered"

kill -TERM "$writer"
wait "$writer" || fail "the workload: $(tail -n 1 "$PRISM_STATE.workload.log")"
trap session_close EXIT
tail -n 1 "$PRISM_STATE.workload.out" | jq -e '.lost == 0' >/dev/null || fail "writes were lost"

"$root/dev" node remove "${id[1]}" || fail "./dev node remove ${id[1]}"
"$root/dev" down || fail "./dev down"
"$root/dev" up || fail "./dev up"
"$root/dev" status >"$PRISM_STATE.status" || fail "./dev status: $(<"$PRISM_STATE.status")"
grep "${id[0]} is in no cluster" "$PRISM_STATE.status" >/dev/null || fail "${id[0]} did not survive a ./dev down and up"
! grep "${id[1]}" "$PRISM_STATE.status" || fail "${id[1]} was removed, and is back"

dead=$(ctl -o json node list --zone a --role replica | jq -r '.items[0].id')
sv once "$PRISM_STATE/sv/$dead" || fail "sv once $dead"
kill -9 "$(<"$PRISM_STATE/sv/$dead/supervise/pid")"
await 30 "the cluster to miss $dead" has_failed "$dead" || fail "$dead is $(state_of "$dead")"
ctl node replace "$dead" "${node[0]}" --yes || fail "prismctl node replace"
await 20 "the topology" topology_ok || fail "after the replacement: $(ctl topology)"
"$root/dev" node remove "$dead" || fail "./dev node remove $dead"
"$root/dev" status >"$PRISM_STATE.status" || fail "./dev status: $(<"$PRISM_STATE.status")"

data_plane prism-workload --verify --ledger "$ledger"
"${cmd[@]}" | tail -n 1 |
    jq -e '.lost == 0 and .verified > 0' >/dev/null || fail "acknowledged writes are lost"
