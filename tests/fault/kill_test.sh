#!/usr/bin/env bash
# kill_test.sh SHARDS REPLICAS ROUNDS VICTIM...: runs the demo and kills -9 a victim
# at a seeded moment of its work. Whatever is killed, the plan completes and no
# acknowledged write is lost. Victims: placement, rebalance, metadata-api, nats,
# postgres (kept down for longer than the lease of who executes a plan lasts),
# primary (a Redis primary; restarted at once, or kept down until a replica has
# taken over, as the seed says).
set -euo pipefail
# shellcheck source=tests/support/session.sh
. "$(dirname "$0")/../support/session.sh"

shards=$1 replicas=$2 rounds=$3
shift 3
seed=${PRISM_SEED:-$(($(date +%s) % 30000 + 1))}
printf 'PRISM_SEED=%s\n' "$seed"
RANDOM=$seed

graph=$PRISM_STATE.graph.txt
log=$PRISM_STATE.demo.log
up_again=
pg_down_s=14 # the lease lasts 10 s

# Sets picked to a seeded number below N. Never in a subshell: bash seeds RANDOM
# anew there.
pick() { picked=$((RANDOM % $1)); }

# Waits for the moment in the demo when the victim works.
await_work() { # VICTIM
    local query="SELECT 1 FROM plans WHERE state = 'running' AND kind = 'vertices'"
    [ "$1" != placement ] || query="SELECT 1 FROM placement_runs WHERE state IN ('pending', 'running')"
    await 60 "work for $1" work_or_end "$query" || fail "no work for $1 came: see $log"
    kill -0 "$demo" 2>/dev/null || fail "the demo ended before $1 had work: see $log"
}
work_or_end() {
    [ "$(sql "$1")" = 1 ] || ! kill -0 "$demo" 2>/dev/null
}

redis_primaries() { # as node N says (default 0)
    redis_admin "${1:-0}" cluster nodes |
        awk '$3 ~ /master/ && $3 !~ /fail/ && NF > 8 { split($2, a, /[:@]/); print a[2] }' | sort
}
redis_admin() { # NODE COMMAND...
    local port
    port=$(redis_port "$PRISM_PORT_BASE" "$1")
    shift
    REDISCLI_AUTH=$(sed -n 's/^IT_REDIS_ADMIN_PASSWORD=//p' "$PRISM_STATE/env") redis-cli \
        --no-auth-warning --user admin -p "$port" "$@"
}

strike() { # VICTIM
    local name=$1 pid moment ports keep_down=no
    if [ "$name" = primary ]; then
        mapfile -t ports < <(redis_primaries)
        pick "${#ports[@]}"
        name=redis-${ports[picked]}
        pick 2
        [ "$picked" -eq 0 ] || keep_down=yes
    fi
    [ "$name" != postgres ] || keep_down=yes
    pick "$([ "$name" = postgres ] && echo 300 || echo 1500)" # the plan must still run
    moment=$(printf '%d.%03d' $((picked / 1000)) $((picked % 1000)))
    sleep "$moment" # the seeded moment itself; nothing is awaited here
    pid=$(<"$PRISM_STATE/sv/$name/supervise/pid")
    if [ "$keep_down" = yes ]; then
        sv once "$PRISM_STATE/sv/$name" >/dev/null
        up_again=$name
    fi
    kill -9 "$pid"
    printf '  killed %s (pid %s) %s s into its work%s\n' "$name" "$pid" "$moment" \
        "$([ "$keep_down" = no ] || echo ', kept down')"
}

# A dead primary comes back as a replica once another has taken its slots.
bring_back() {
    [ -n "$up_again" ] || return 0
    if [ "$up_again" = postgres ]; then
        sleep "$pg_down_s" # the fault's own length; nothing is awaited here
        sv up "$PRISM_STATE/sv/postgres" >/dev/null
        up_again=
        return
    fi
    await 60 "a replica to take over from $up_again" replaced "${up_again#redis-}" ||
        fail "no replica took over from $up_again"
    sv up "$PRISM_STATE/sv/$up_again" >/dev/null
    up_again=
}
replaced() {
    local n=0
    [ "$(redis_port "$PRISM_PORT_BASE" 0)" != "$1" ] || n=1
    [ "$(redis_primaries "$n" | grep -cvx "$1")" -eq "$shards" ]
}

# Primaries back where they were, or a zone would be left without one and the next
# round's placement would, rightly, refuse to start.
fail_back() {
    local n
    for ((n = 0; n < shards; n++)); do
        if ! redis_primaries | grep -qx "$(redis_port "$PRISM_PORT_BASE" "$n")"; then
            redis_admin "$n" cluster failover >/dev/null || fail "cannot fail back to node $n"
        fi
    done
    await 30 "the primaries to be back" primaries_are_back || fail "the primaries are not back"
    await 30 "the API to know" api_knows || fail "the API does not know: $(api /v1/topology)"
}
first_ports() {
    local n
    for ((n = 0; n < shards; n++)); do redis_port "$PRISM_PORT_BASE" "$n"; done
}
primaries_are_back() { [ "$(redis_primaries)" = "$(first_ports)" ]; }
api_knows() {
    [ "$(api /v1/topology | jq -r 'select(.state == "ok") | .shards[].primary' | sort)" = \
        "$(first_ports | sed 's/^/redis-/')" ]
}

# Of the demo's first round: the second has little or nothing to move.
plan_struck() { jq -e .id "$PRISM_STATE/demo/plan.json"; }

# The plan was under way when PostgreSQL went, or nothing was shown.
check_struck() { # VICTIM
    [ "$1" != postgres ] || [ "$(sql "SELECT finished_at - started_at > interval '$pg_down_s s'
        FROM plans WHERE id = $(plan_struck)")" = t ] || fail "the plan did not run while $1 was down"
}

check() {
    local summary=$PRISM_STATE/demo/summary.json
    grep -q 'acknowledged writes lost: 0' "$log" || fail "$(grep lost "$log")"
    jq -e '.lost == 0 and .moves.vertices > 0 and .during.writes_acked > 0' "$summary" >/dev/null ||
        fail "$(jq -c . "$summary")"
    [ "$(sql "SELECT state FROM plans WHERE id = $(plan_struck)")" = "done" ] || fail "the plan is not done"
    [ "$(sql "SELECT count(*) FROM moves WHERE state NOT IN ('done', 'rolled_back')")" = 0 ] ||
        fail "unfinished moves are left"
}

session_open "$shards" "$replicas"
planted_graph "$graph" 300 100 "$seed"
for victim in "$@"; do
    for ((round = 1; round <= rounds; round++)); do
        printf '%s, round %d\n' "$victim" "$round"
        # One round, since the second may meet a zone without primary; and a
        # placement that takes long enough to be struck.
        PRISM_DEMO_ROUNDS=1 PRISM_DEMO_PLACEMENT="--mode full --seeds 16" \
            "$root/dev" demo --graph "$graph" >"$log" 2>&1 &
        demo=$!
        await_work "$victim"
        strike "$victim"
        bring_back
        wait "$demo" || {
            tail -n 20 "$log"
            fail "the demo failed (PRISM_SEED=$seed)"
        }
        check
        check_struck "$victim"
        "$root/tools/localstack" start "$PRISM_STATE" --port-base "$PRISM_PORT_BASE" \
            --shards "$shards" --replicas "$replicas" || fail "not healthy after $victim"
        fail_back
    done
done
