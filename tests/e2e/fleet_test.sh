#!/usr/bin/env bash
# A fleet that grows and shrinks while clients read and write, by one command each:
# nodes are added, joined, drained and removed; the stack knows them after a ./dev
# down and up; what clients had written is there at the end.
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

topology_ok() { [ "$(ctl -o json topology | jq -r .state)" = ok ]; }
slots_of() { ctl -o json node list | jq --arg ids "$*" '[.items[] | select([.id] | inside($ids / " ")) | .slots] | add // 0'; }

session_open 6 1
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
[ "$(slots_of "${id[@]}")" -gt 0 ] || fail "the new shard serves no slot"
if "$root/dev" node remove "${id[0]}"; then
    fail "./dev node remove took a member of the cluster"
fi

ctl node drain "${id[@]}" --yes || fail "prismctl node drain"
await 20 "the topology" topology_ok || fail "after the drain: $(ctl topology)"
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
data_plane prism-workload --verify --ledger "$ledger"
"${cmd[@]}" | tail -n 1 |
    jq -e '.lost == 0 and .verified > 0' >/dev/null || fail "acknowledged writes are lost"
