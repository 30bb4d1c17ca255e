#!/usr/bin/env bash
# ./dev up with DR: a graph is loaded, becomes durable in the bucket, and a shard that is restored
# from there holds what its primary holds. The bucket outlives ./dev down; PRISM_DR=0 ends it.
set -euo pipefail
# shellcheck source=tests/support/session.sh
. "$(dirname "$0")/../support/session.sh"
# shellcheck source=tools/stack/supervise.sh
. "$root/tools/stack/supervise.sh"

graph=$PRISM_STATE.graph.txt
restored=$PRISM_STATE.restored
server= # of what is restored

stack() { sed -n "s/^$1=//p" "$PRISM_STATE/env"; }
primary() { # PORT ARGS...: redis-cli as the administrator
    REDISCLI_AUTH=$(<"$PRISM_STATE/secrets/redis-admin") redis-cli --no-auth-warning --user admin -p "$@"
}
dr() { chpst -e "$PRISM_STATE/settings/dr" "$PRISM_STATE/bin/prism-dr" "$@"; }
shards() { # a line each: SHARD PORT, of its primary
    sql "SELECT s.id || ' ' || n.port FROM shards s JOIN nodes n ON n.id = s.primary_id ORDER BY 1"
}
offset_of() { primary "$1" INFO replication | tr -d '\r' | sed -n 's/^master_repl_offset://p'; }
durable() { # SHARD OFFSET
    [ "$(sql "SELECT count(*) FROM dr_shards WHERE shard_id = '$1' AND generation_epoch > 0 AND
        durable_offset >= $2")" = 1 ]
}
streams() { # every shard has its base
    [ "$(sql "SELECT count(*) FROM dr_shards WHERE streaming AND generation_epoch > 0")" = "$PRISM_SHARDS" ]
}
await_durable() {
    local shard port offset
    while read -r shard port; do
        offset=$(offset_of "$port")
        await 40 "$shard" durable "$shard" "$offset" ||
            fail "$shard is not durable up to $offset: $(sql "SELECT d FROM dr_shards d WHERE shard_id = '$shard'")"
    done < <(shards)
}

# Without its heartbeat, which goes on changing on one side.
digest() { # COMMAND...: a redis-cli
    local key
    key=$("$@" --scan --pattern 'prism:beat:*')
    [ -n "$key" ] || fail "no heartbeat: $*"
    "$@" <<<"$(printf '%s\n' MULTI "DEL $key" "DEBUG DIGEST" EXEC)" | tail -n 1
}

restores_a_shard() {
    local shard port other want got
    read -r shard port < <(shards)
    rm -rf "$restored"
    dr restore --shard "$shard" --dir "$restored" >"$PRISM_STATE.restore.json" ||
        fail "prism-dr restore: $(<"$PRISM_STATE.restore.json")"
    jq -e '.gap == false and .skipped_generations == 0 and .stream_bytes > 10000' \
        "$PRISM_STATE.restore.json" >/dev/null || fail "restored: $(<"$PRISM_STATE.restore.json")"
    other=$((PRISM_PORT_BASE + 59)) # nobody's
    redis-server --port "$other" --bind 127.0.0.1 --dir "$restored" --appendonly yes \
        --aof-load-truncated no --save '' --enable-debug-command local >"$PRISM_STATE.restored.log" &
    server=$!
    await 20 "what is restored" serves "$other" || fail "redis-server: $(tail -n 3 "$PRISM_STATE.restored.log")"
    want=$(digest primary "$port")
    got=$(digest redis-cli -p "$other")
    [ "$(redis-cli -p "$other" DBSIZE)" -gt 100 ] || fail "$shard came back almost empty"
    [[ $want =~ ^[0-9a-f]{40}$ ]] || fail "DEBUG DIGEST of $shard: $want"
    [ "$want" = "$got" ] || fail "$shard: digest $want, restored $got"
    stop_restored
}
serves() { [ "$(redis-cli -p "$1" PING 2>/dev/null)" = PONG ]; }
stop_restored() {
    [ -z "$server" ] || kill -TERM "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" || true
    server=
}

export PRISM_DR=1
session_open 3 1
trap 'stop_restored; session_close' EXIT
planted_graph "$graph" 20 100 7
await 40 "the bases" streams || fail "not followed: $(sql "SELECT d FROM dr_shards d WHERE NOT streaming")"
PRISM_REDIS_USER=client PRISM_REDIS_PASSWORD_FILE=$PRISM_STATE/secrets/redis-client \
    PRISM_REDIS_SEEDS=$(stack IT_REDIS_SEEDS) \
    "$PRISM_STATE/bin/prism-load" --partitions 4096 --graph "$graph" >/dev/null || fail "prism-load"
await_durable
[ "$(dr list | jq -s 'map(select(.gap == false)) | length')" -ge 3 ] || fail "prism-dr list: $(dr list)"
restores_a_shard

# The demo's store replaces nothing but a demo's: heartbeats alone are nobody's.
demo_shows_it() {
    local port
    for port in $(shards | cut -d' ' -f2); do
        primary "$port" FLUSHALL >/dev/null
    done
    PRISM_DEMO_ROUNDS=1 PRISM_DEMO_WRITES_S=5 "$root/dev" demo --graph "$graph" || fail "./dev demo"
    jq -e '.lost == 0 and .dr.on and .dr.shards == .dr.drills and .dr.after_bytes > 0' \
        "$PRISM_STATE/demo/summary.json" >/dev/null || fail "demo: $(jq -c '[.lost, .dr]' "$PRISM_STATE/demo/summary.json")"
    grep -q '^  drill .* of 3 good' "$PRISM_STATE/demo/summary.txt" || fail "the table has no drill"
}
demo_shows_it

unset PRISM_DR # it is remembered
"$root/dev" status >"$PRISM_STATE.status" || fail "./dev status: $(<"$PRISM_STATE.status")"
grep '^dr  *ready' "$PRISM_STATE.status" >/dev/null || fail "./dev status has no dr: $(<"$PRISM_STATE.status")"
generations=$(dr list | wc -l)
"$root/dev" down || fail "./dev down"
"$root/dev" up || fail "./dev up after ./dev down"
await_durable
[ "$(dr list | wc -l)" -ge "$generations" ] || fail "./dev down lost what was in the bucket: $(dr list)"

PRISM_DR=0 "$root/dev" up || fail "PRISM_DR=0 ./dev up"
! sv_names "$PRISM_STATE" | grep -E "^(dr|s3-)" || fail "PRISM_DR=0 left them"
"$root/dev" status >/dev/null || fail "./dev status without dr"
