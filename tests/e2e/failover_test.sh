#!/usr/bin/env bash
# The local stack fails over to its second site while writers write: once with the old side there,
# back again, dr killed on the way, and once with the old side killed. One prismctl command each. What dr said to be
# durable is there afterwards, the old side stays locked out, also when it comes back, and nobody
# waits for longer than two minutes.
set -euo pipefail
# shellcheck source=tests/support/session.sh
. "$(dirname "$0")/../support/session.sh"
# shellcheck source=tools/stack/supervise.sh
. "$root/tools/stack/supervise.sh"

graph=$PRISM_STATE.graph.txt
out=$PRISM_STATE.failover
writer= # pid of the workload

where() { # SITE: its directory
    [ "$1" = east ] && printf '%s\n' "$PRISM_STATE" || printf '%s/west\n' "$PRISM_STATE"
}
base_of() { [ "$1" = east ] && printf '%s\n' "$PRISM_PORT_BASE" || printf '%s\n' "$PRISM_SITE_PORT_BASE"; }
other() { [ "$1" = east ] && echo west || echo east; }
stack() { sed -n "s/^$2=//p" "$(where "$1")/env"; } # SITE NAME
site_sql() {                                        # SITE SQL
    PGPASSWORD=$(<"$PRISM_STATE/secrets/postgres") psql -X -q -A -t -v ON_ERROR_STOP=1 \
        -h 127.0.0.1 -p "$(base_of "$1")" -U postgres -d prism -c "$2"
}
ctl() { # SITE TOKEN-FILE ARGS...
    "$PRISM_STATE/bin/prismctl" --url "http://127.0.0.1:$(service_port "$(base_of "$1")" metadata-api)" \
        --token-file "$PRISM_STATE/$2" "${@:3}"
}
redis() { # PORT ARGS...: as the administrator
    REDISCLI_AUTH=$(<"$PRISM_STATE/secrets/redis-admin") redis-cli --no-auth-warning --user admin -p "$@"
}
as_client() { # PORT
    REDISCLI_AUTH=$(<"$PRISM_STATE/secrets/redis-client") redis-cli --no-auth-warning --user client \
        -p "$1" PING 2>&1
}
workload() { # SITE ARGS...: becomes the program
    PRISM_REDIS_USER=client PRISM_REDIS_PASSWORD_FILE=$PRISM_STATE/secrets/redis-client \
        PRISM_REDIS_SEEDS=$(stack "$1" IT_REDIS_SEEDS) \
        exec "$PRISM_STATE/bin/prism-workload" --partitions 4096 --json "${@:2}"
}
lost() { # SITE LEDGER: how many, and at least a hundred looked at
    (workload "$1" --verify --ledger "$2") >"$out/verify" || true
    tail -n 1 "$out/verify" | jq -e 'select(.verified > 100) | .lost' ||
        fail "verify: $(tail -n 1 "$out/verify")"
}

# --- what is said to be durable ---------------------------------------------------------------

shards() { # SITE: a line each: SHARD PORT, of its primary
    site_sql "$1" "SELECT s.id || ' ' || n.port FROM shards s JOIN nodes n ON n.id = s.primary_id ORDER BY 1"
}
durable() { # SITE SHARD OFFSET
    [ "$(site_sql "$1" "SELECT count(*) FROM dr_shards WHERE shard_id = '$2' AND generation_epoch > 0 AND
        durable_offset >= $3")" = 1 ]
}
followed() { # SITE: every shard is, and PostgreSQL is backed up
    [ "$(site_sql "$1" "SELECT count(*) FROM dr_shards WHERE streaming AND generation_epoch > 0")" = \
        "$PRISM_SHARDS" ] && [ "$(site_sql "$1" "SELECT newest_backup <> '' FROM dr_pg")" = t ]
}
# Every write that was acknowledged before, and attempts until now: what is written later is no loss.
said_durable() { # SITE
    local shard port offset
    cp "$out/ledger" "$out/durable"
    while read -r shard port; do
        offset=$(redis "$port" INFO replication | tr -d '\r' | sed -n 's/^master_repl_offset://p')
        await 40 "$shard" durable "$1" "$shard" "$offset" || fail "$shard is not durable up to $offset"
    done < <(shards "$1")
}
with_attempts() { { cat "$out/durable" && grep '^T' "$out/ledger"; } >"$out/durable.all"; }

write_on() { # SITE
    rm -f "$out/ledger"
    workload "$1" --graph "$graph" --zones "$(stack "$1" IT_ZONES)" --seconds 0 --ledger "$out/ledger" \
        >"$out/workload" 2>&1 &
    writer=$!
    await 20 "writes" written 5000 || fail "nothing is written: $(tail -n 2 "$out/workload")"
}
written() { [ "$(grep -c '^A' "$out/ledger" 2>/dev/null || echo 0)" -gt "$1" ]; }
stop_writing() { # its own verdict does not count: its store has gone
    [ -z "$writer" ] || kill -KILL "$writer" 2>/dev/null || true
    [ -z "$writer" ] || wait "$writer" 2>/dev/null || true
    writer=
}

# --- one fail-over -------------------------------------------------------------------------------

fail_over() { # TO OPTIONS...
    ctl "$1" west/token dr failover execute --to "$1" --yes --watch "${@:2}" >"$out/said" 2>&1 ||
        fail "prismctl dr failover execute --to $1: $(<"$out/said")"
    verified "$1"
    jq -e '.rtoMs <= 120000' "$out/status.json" >/dev/null || fail "too slow: $(<"$out/status.json")"
}

# dr is killed in the middle of it: who watches is told, and resume goes on where it stopped.
fail_over_killed() { # TO STEP OPTIONS...
    local dir watch
    dir=$(readlink -f "$(where "$1")")
    ctl "$1" west/token dr failover execute --to "$1" --yes --watch "${@:3}" >"$out/said" 2>&1 &
    watch=$!
    await 60 "step $2" grep -q "^$2 *running" "$out/said" || fail "not begun: $(<"$out/said")"
    sv kill "$dir/sv/dr" >/dev/null
    ! wait "$watch" || fail "prismctl saw no end of it: $(<"$out/said")"
    grep -q 'nobody is at it any more' "$out/said" || fail "prismctl: $(<"$out/said")"
    ctl "$1" west/token dr failover resume --yes --watch >"$out/said" 2>&1 ||
        fail "prismctl dr failover resume: $(<"$out/said")"
    verified "$1"
    jq -e '.attempt == 2' "$out/status.json" >/dev/null || fail "attempts: $(<"$out/status.json")"
}

verified() { # SITE
    stop_writing
    ctl "$1" west/token -o json dr failover status >"$out/status.json" 2>/dev/null ||
        fail "prismctl dr failover status"
    printf 'to %s: RTO %s ms, RPO %s ms; steps %s\n' "$1" "$(jq .rtoMs "$out/status.json")" \
        "$(jq .rpoMs "$out/status.json")" "$(jq -c '[.steps[] | {(.step): ((.endedAt | sub("[.].*"; "Z") |
            fromdate) - (.begunAt | sub("[.].*"; "Z") | fromdate))}] | add' "$out/status.json")"
    jq -e '.state == "done"' "$out/status.json" >/dev/null || fail "fail-over: $(<"$out/status.json")"
    grep -q '^RTO ' "$out/said" || fail "no RTO: $(<"$out/said")"
}

nothing_lost() { # SITE
    with_attempts
    [ "$(lost "$1" "$out/durable.all")" = 0 ] || fail "durable writes are lost: $(<"$out/verify")"
}

serves() { # SITE: look-ups and writes, and its dr goes on
    local id port
    await 60 "the topology of $1" topology_ok "$1" || fail "topology: $(ctl "$1" token topology)"
    for id in $(awk '{ print $1 }' "$graph" | sort -un | awk 'NR % 197 == 1' | head -n 10); do
        ctl "$1" token -o json vertex get "$id" | jq -e --arg id "$id" '.id == $id and .zone != null' \
            >/dev/null || fail "vertex $id at $1"
    done
    for port in $(shards "$1" | cut -d' ' -f2); do
        [ "$(as_client "$port")" = PONG ] || fail "redis-$port of $1: $(as_client "$port")"
    done
    await 60 "dr at $1" followed "$1" || fail "not followed: $(ctl "$1" token dr status)"
}
topology_ok() { [ "$(ctl "$1" token -o json topology 2>/dev/null | jq -r .state)" = ok ]; }

locked() { # SITE: no client gets in, nor does a service
    local port
    for port in $(stack "$1" IT_REDIS_SEEDS | tr , '\n' | cut -d: -f2); do
        [[ $(as_client "$port") != PONG ]] || return 1
    done
    ! PGPASSWORD=$(<"$PRISM_STATE/secrets/pg-metadata-api") psql -X -h 127.0.0.1 -p "$(base_of "$1")" \
        -U prism_metadata_api -d prism -c 'SELECT 1' >/dev/null 2>&1
}

# A server that starts again has its users again, for as long as it takes dr to see it.
comes_back_locked() { # SITE
    local port
    port=$(stack "$1" IT_REDIS_SEEDS | cut -d, -f1 | cut -d: -f2)
    sv_down "$(readlink -f "$(where "$1")")" 10 "redis-$port"
    sv_up "$(readlink -f "$(where "$1")")" "redis-$port"
    await 20 "redis-$port" pongs "$port" || fail "redis-$port does not come back"
    await 30 "redis-$port to be locked again" locked "$1" || fail "$1 is open: $(as_client "$port")"
}
pongs() { [ "$(redis "$1" PING 2>/dev/null)" = PONG ]; }

audited() { # what was done by the standby token
    [ "$(site_sql west "SELECT count(*) FROM audit WHERE action = 'dr.failover.execute' AND
        principal = 'standby-token'")" -gt 0 ]
}

# All but the bucket, at once.
kill_site() { # SITE
    local dir name names=()
    dir=$(readlink -f "$(where "$1")")
    for name in $(sv_names "$dir"); do
        [[ $name == s3-* ]] || names+=("$dir/sv/$name")
    done
    sv once "${names[@]}" >/dev/null 2>&1 || true
    sv kill "${names[@]}" >/dev/null 2>&1 || true
    kill -KILL "$(head -n 1 "$dir/pg/postmaster.pid")" 2>/dev/null || true
}

export PRISM_DR=1
rm -rf "$out" && mkdir -p "$out"
session_open 3 1
trap 'stop_writing; session_close' EXIT
planted_graph "$graph" 20 100 7
(PRISM_REDIS_USER=client PRISM_REDIS_PASSWORD_FILE=$PRISM_STATE/secrets/redis-client \
    PRISM_REDIS_SEEDS=$(stack east IT_REDIS_SEEDS) \
    "$PRISM_STATE/bin/prism-load" --partitions 4096 --graph "$graph" >/dev/null) || fail "prism-load"
await 60 "dr at east" followed east || fail "not followed: $(site_sql east "SELECT d FROM dr_pg d")"

# The drill, by one command.
ctl east token dr drill --all >"$out/drill" || fail "prismctl dr drill: $(<"$out/drill")"
grep -q "^proven of 3 of 3: " "$out/drill" || fail "prismctl dr drill: $(<"$out/drill")"

# In standby west opens nothing but this, and to nobody but the holder of its token.
! ctl west token dr failover list >/dev/null 2>&1 || fail "west took a token that it cannot know"
! ctl west west/token node list >/dev/null 2>&1 || fail "west showed its nodes in standby"
ctl west west/token dr failover plan --to west >"$out/plan" || fail "no plan: $(<"$out/plan")"
grep -q '^ready  *yes' "$out/plan" || fail "not ready: $(<"$out/plan")"

write_on east
said_durable east
fail_over west
nothing_lost west
if [ "$(jq .rpoMs "$out/status.json")" = 0 ]; then # and it says that nothing at all is missing
    [ "$(lost west "$out/ledger")" = 0 ] || fail "RPO is 0, and writes are lost: $(<"$out/verify")"
fi
serves west
locked east || fail "east is open"
comes_back_locked east
! ctl west west/token dr failover execute --to west --yes >/dev/null 2>&1 ||
    fail "the standby token is good for more than it should"
[ "$(ctl west token -o json dr failover list | jq -r '.items | map(.to + .state) | join(",")')" = westdone ] ||
    fail "history: $(ctl west token dr failover list)"
await 10 "the audit trail" audited || fail "not audited"

# Back, over what the old side still holds; dr is killed on the way.
write_on west
said_durable west
fail_over_killed east restore --over-existing
nothing_lost east
serves east
locked west || fail "west is open"

# And the worst: everything of east dies at once.
write_on east
said_durable east
kill_site east
fail_over west --over-existing --old-side-is-down
nothing_lost west
serves west
