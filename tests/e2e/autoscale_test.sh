#!/usr/bin/env bash
# A fleet that scales itself: load rises, a decision is made, real Redis nodes are started,
# join and get slots and traffic; load falls, they are drained, stopped and forgotten. The
# service is killed in between, and whoever comes next goes on. Nothing that clients wrote is
# lost, and every decision can be explained and made again. Where there is a browser, the dashboard
# is looked at all the while, and has to show each of these without being loaded anew.
set -euo pipefail
# shellcheck source=tests/support/session.sh
. "$(dirname "$0")/../support/session.sh"
# shellcheck source=tests/support/browser.sh
. "$(dirname "$0")/../support/browser.sh"

graph=$PRISM_STATE.graph.txt
ledger=$PRISM_STATE.ledger
fleet=$PRISM_STATE.fleet.json
# Twenty minutes of policies in one of ours.
export PRISM_AUTOSCALE_CLOCK_RATE=20 PRISM_AUTOSCALE_LEASE_TTL_MS=16000 PRISM_AUTOSCALE_CALL_MS=10000

ctl() { PRISM_API_URL=$(address) PRISM_TOKEN_FILE=$PRISM_STATE/token "$PRISM_STATE/bin/prismctl" "$@"; }
stack() { sed -n "s/^$1=//p" "$PRISM_STATE/env"; }
data_plane() { # PROGRAM ARGS...: sets cmd
    cmd=(env PRISM_REDIS_USER=client "PRISM_REDIS_PASSWORD_FILE=$PRISM_STATE/secrets/redis-client"
        "PRISM_REDIS_SEEDS=$(stack IT_REDIS_SEEDS)" "$PRISM_STATE/bin/$1" --partitions 4096 --json "${@:2}")
}
redis() { # PORT COMMAND...
    REDISCLI_AUTH=$(<"$PRISM_STATE/secrets/redis-admin") redis-cli --no-auth-warning --user admin \
        -p "$1" "${@:2}"
}

# One number or word of the newest decision that moves in that direction.
decision() { # MOVE COLUMN
    sql "SELECT $2 FROM autoscale_decisions WHERE move = '$1' ORDER BY id DESC LIMIT 1"
}
is_evaluated() { [ "$(sql "SELECT count(*) > 2 FROM autoscale_decisions WHERE move = 'hold'")" = t ]; }
is_decided() { [ -n "$(decision "$1" id)" ]; }
is_phase() { [ "$(decision "$1" "report->>'phase'")" = "$2" ]; }
is_done() {
    local state
    state=$(decision "$1" state)
    [ "$state" != failed ] || fail "scaling $1: $(decision "$1" report)"
    [ "$state" = "done" ]
}
say_decisions() {
    sql "SELECT id, move, from_instances, to_instances, state, report->>'why' FROM autoscale_decisions
        WHERE move IN ('out', 'in') OR alarm ORDER BY id DESC LIMIT 8" >&2
}
awaits() { # SECONDS WHAT COMMAND...
    await "$@" || {
        say_decisions
        fail "$2 (log: $PRISM_STATE/log/autoscale/current)"
    }
}

# CPU is the share of one core that a node's main thread uses: the workload of two threads
# takes some per cent of each of twelve nodes, and an idle node less than one. Slots that leave take
# as much while they do, which here is a matter of seconds: load has to last longer.
write_fleet() {
    cat >"$fleet" <<EOF
{"kind": "redis", "mode": "act",
 "fleet": {"like": "redis", "unit": 2, "min": 12, "max": 14, "zone_loss_pct": 0,
           "zones": [{"name": "a"}, {"name": "b"}, {"name": "c"}]},
 "policies": [{"policy": "rules", "rules": [
    {"metric": "cpu", "threshold": 2, "step_pct": 10, "sustained_ms": 400000, "cooldown_ms": 300000},
    {"metric": "cpu", "threshold": 1, "step_pct": -10, "sustained_ms": 240000, "cooldown_ms": 300000}]}],
 "sources": [{"kind": "redis", "vcpus": 2}],
 "actuator": {"kind": "local", "drain_s": 30, "patience_s": 2400}}
EOF
}

# The dashboard in a browser, from before there is anything to see until all of it was seen. What it
# has seen is in watch.log, which a failure prints.
watcher=
rm -f "$PRISM_STATE.watch.log"
watch() {
    browser_there 'the dashboard while a fleet is scaled' || return 0
    PRISM_ONLY=scale PRISM_REAL=$(address) PRISM_FLEET=hot PRISM_SIZES=12,14 PRISM_TOKEN_FILE=$PRISM_STATE/token \
        node "$root/tests/e2e/dashboard/run.mjs" >"$PRISM_STATE.watch.log" 2>&1 &
    watcher=$!
    awaits 120 "the dashboard in a browser" is_watching
}
is_watching() {
    kill -0 "$watcher" 2>/dev/null || fail "the browser has ended"
    grep -qsx watching "$PRISM_STATE.watch.log"
}
has_seen_growth() {
    kill -0 "$watcher" 2>/dev/null || fail "the browser has ended"
    grep -qs '^ok scale-out: the decision is done' "$PRISM_STATE.watch.log"
}
watched() {
    [ -z "$watcher" ] || wait "$watcher" || fail "the dashboard"
    [ -z "$watcher" ] || cat "$PRISM_STATE.watch.log"
    watcher=
}

session_open 6 1
writer=
close_all() {
    local rc=$?
    set +e
    kill -TERM ${writer:+"$writer"} ${watcher:+"$watcher"} 2>/dev/null
    if [ "$rc" -ne 0 ] && [ -s "$PRISM_STATE.watch.log" ]; then
        sed 's/^/watch.log: /' "$PRISM_STATE.watch.log" >&2
    fi
    (exit "$rc")
    session_close
}
trap close_all EXIT
planted_graph "$graph" 20 100 7
rm -f "$ledger"
data_plane prism-load --graph "$graph"
"${cmd[@]}" >/dev/null || fail "prism-load"
mapfile -t before < <("$root/dev" node list | cut -d' ' -f1)
[ "${#before[@]}" = 12 ] || fail "./dev node list: ${before[*]}"

write_fleet
ctl autoscale set hot "$fleet" --new --yes >/dev/null || fail "prismctl autoscale set"
awaits 60 "the first decisions" is_evaluated
watch

data_plane prism-workload --graph "$graph" --seconds 0 --write-ratio 0.2 --ledger "$ledger" --seed 2 \
    --zones "$(stack IT_ZONES)"
"${cmd[@]}" >"$PRISM_STATE.workload.out" 2>"$PRISM_STATE.workload.log" &
writer=$!

awaits 60 "a decision outward" is_decided out
out=$(decision out id)
awaits 90 "new nodes that join" is_phase out joining
# Killed in the middle of it: the lease runs out, and the next one goes on from what was saved.
kill -9 "$(<"$PRISM_STATE/sv/autoscale/supervise/pid")"
awaits 120 "14 nodes that serve" is_done out
[ "$(decision out id)" = "$out" ] || fail "there was another decision outward: $(say_decisions 2>&1)"
mapfile -t new < <("$root/dev" node list | grep -vwFf <(printf '%s\n' "${before[@]}"))
[ "${#new[@]}" = 2 ] || fail "started: ${new[*]-nothing}"
ctl -o json topology | jq -e '.state == "ok" and (.shards | length) == 7 and
    ([.shards[].slots] | add) == 16384 and ([.shards[] | select(.replicas | length == 0)] | length) == 0' \
    >/dev/null || fail "topology: $(ctl -o json topology | jq -c .shards)"
busy=0
for line in "${new[@]}"; do
    read -r id at zone is in <<<"$line"
    [ "$is $in" = "up member" ] || fail "$id in zone $zone is $is, $in"
    keys=$(redis "${at#*:}" dbsize)
    [ "$keys" -gt 0 ] || fail "$id holds nothing"
    calls=$(redis "${at#*:}" info commandstats | sed -n 's/^cmdstat_fcall[_ro]*:calls=\([0-9]*\),.*/\1/p' |
        awk '{ n += $1 } END { print n + 0 }')
    busy=$((busy + calls))
done
[ "$busy" -gt 0 ] || fail "no traffic has reached the new shard"

# Load falls when the growth has been seen: a browser may be late, and what shrinks again is gone.
[ -z "$watcher" ] || awaits 120 "the dashboard to show the growth" has_seen_growth
kill -TERM "$writer"
wait "$writer" || fail "the workload: $(tail -n 1 "$PRISM_STATE.workload.log")"
writer=
tail -n 1 "$PRISM_STATE.workload.out" | jq -e '.lost == 0' >/dev/null || fail "writes were lost"

awaits 90 "a decision inward" is_decided in
awaits 120 "12 nodes" is_done in
watched
mapfile -t after < <("$root/dev" node list | cut -d' ' -f1)
[ "${#after[@]}" = 12 ] || fail "left: ${after[*]}"
[ "$(sql 'SELECT count(*) FROM nodes')" = 12 ] || fail "registered: $(sql 'SELECT id, state FROM nodes')"
ctl -o json topology | jq -e '.state == "ok" and (.shards | length) == 6 and ([.shards[].slots] | add) == 16384' \
    >/dev/null || fail "topology: $(ctl -o json topology | jq -c .shards)"
[ "$(sql "SELECT count(*) FROM plans WHERE created_by = 'policy autoscale' AND approved_by = created_by
    AND state = 'done' AND goal ? 'decision'")" = 2 ] || fail "plans: $(sql 'SELECT id, state, goal, error FROM plans')"

ctl autoscale explain "$out" >"$PRISM_STATE.explained" || fail "prismctl autoscale explain $out"
grep 'cpu>2 for 6.667 min' "$PRISM_STATE.explained" >/dev/null || fail "explained: $(<"$PRISM_STATE.explained")"
for id in $(sql 'SELECT id FROM autoscale_decisions ORDER BY id'); do
    PRISM_DB_URI=$(stack IT_DB_URI | sed 's|/postgres$|/prism|') "$PRISM_STATE/bin/prism-autoscale" replay "$id" \
        >"$PRISM_STATE.replay" || fail "decision $id again: $(<"$PRISM_STATE.replay")"
done

data_plane prism-workload --verify --ledger "$ledger"
"${cmd[@]}" | tail -n 1 |
    jq -e '.lost == 0 and .verified > 0' >/dev/null || fail "acknowledged writes are lost"
