#!/usr/bin/env bash
# The whole job by ./dev on a small graph: nothing lost, less traffic between
# zones, every vertex found where it says it is; again from a full store; and a
# second ./dev up that has nothing to do.
set -euo pipefail
# shellcheck source=tests/support/session.sh
. "$(dirname "$0")/../support/session.sh"

graph=$PRISM_STATE.graph.txt
summary=$PRISM_STATE/demo/summary.json

check_summary() {
    jq -e '.lost == 0' "$summary" >/dev/null || fail "lost: $(jq .lost "$summary")"
    jq -e '.moves.vertices > 0' "$summary" >/dev/null || fail "nothing moved"
    jq -e '.before.root_zone > 0.5 and .after.root_zone < .before.root_zone / 2' "$summary" \
        >/dev/null || fail "cross-zone share $(jq -c '[.before.root_zone, .after.root_zone]' "$summary")"
    jq -e '.second.new_edges > 0 and .second.mode == "warm" and .second.moved_ratio <= 0.01 and
        .second.cross_share <= .second.cross_share_before and
        .second.after.root_zone < .before.root_zone / 2' "$summary" >/dev/null ||
        fail "second round: $(jq -c .second "$summary")"
    jq -e '.during.writes_acked > 0' "$summary" >/dev/null || fail "nothing was written meanwhile"
}

# The table and the store agree: where the API says a vertex is, it lives.
check_vertices() {
    local id
    for id in $(awk '{ print $1 }' "$graph" | sort -un | awk 'NR % 97 == 1' | head -n 20); do
        api "/v1/vertices/$id" | jq -e --arg id "$id" '.id == $id and .zone != null' >/dev/null ||
            fail "/v1/vertices/$id: $(api "/v1/vertices/$id")"
    done
    if curl -fsS -o /dev/null "$(address)/v1/nodes" 2>/dev/null; then
        fail "answered without a token"
    fi
}

# Why a vertex is where it is, from the API and from prismctl.
check_explain() {
    local id
    id=$(awk '!/^#/ { print $1; exit }' "$graph")
    api "/v1/placement/explain/$id" | jq -e --arg id "$id" \
        '.vertexId == $id and (.zones | length) == 3 and .neighbors > 0 and (.why | length) > 10' \
        >/dev/null || fail "/v1/placement/explain/$id: $(api "/v1/placement/explain/$id")"
    PRISM_API_URL=$(address) PRISM_TOKEN_FILE=$PRISM_STATE/token \
        "$PRISM_STATE/bin/prismctl" explain "$id" | grep -q '^why ' || fail "prismctl explain $id"
}

# Every acknowledged write of the last demo, read back.
check_ledger() {
    PRISM_REDIS_SEEDS=$(sed -n 's/^IT_REDIS_SEEDS=//p' "$PRISM_STATE/env") \
        PRISM_REDIS_USER=client PRISM_REDIS_PASSWORD_FILE=$PRISM_STATE/secrets/redis-client \
        "$PRISM_STATE/bin/prism-workload" --verify --ledger "$PRISM_STATE/demo/ledger" \
        --partitions 4096 --json | tail -n 1 | jq -e '.lost == 0 and .verified > 0' >/dev/null ||
        fail "acknowledged writes are lost after a restart"
}

# Passwords, the token and the ledger are for the stack's user alone.
check_secrets() {
    local dir open
    dir=$(readlink -f "$PRISM_STATE")
    [ -s "$dir/settings/rebalance/PRISM_DB_URI" ] || fail "no settings in $dir/settings"
    open=$(find "$dir/settings" "$dir/secrets" "$dir/env" "$dir/token" "$dir/demo" -perm /077)
    [ -z "$open" ] || fail "open to others: $open"
}

processes() { grep . "$PRISM_STATE"/sv/*/supervise/pid; }

session_open 6 1
planted_graph "$graph" 60 100 7
"$root/dev" demo --graph "$graph" || fail "./dev demo"
check_summary
check_vertices
check_explain
check_secrets

"$root/dev" demo --graph "$graph" || fail "./dev demo, repeated"
check_summary

before=$(processes)
"$root/dev" up || fail "a second ./dev up"
[ "$(processes)" = "$before" ] || fail "a second ./dev up started something anew"
"$root/dev" status >/dev/null || fail "./dev status"
"$root/dev" down || fail "./dev down"
if "$root/dev" status >/dev/null; then
    fail "./dev status says up after ./dev down"
fi
"$root/dev" up || fail "./dev up after ./dev down"
check_vertices
check_ledger
