#!/usr/bin/env bash
# The dashboard in Debian's chromium: every view with the rows of 1,000 nodes and 64,000 partitions, a real
# plan that is executed, paused and canceled there, and servers that answer badly. Pictures of every view are
# left in PRISM_STATE.shots. Exits 77 where the browser or what drives it cannot be had.
set -euo pipefail
# shellcheck source=tests/support/session.sh
. "$(dirname "$0")/../support/session.sh"
# shellcheck source=tests/support/browser.sh
. "$(dirname "$0")/../support/browser.sh"
# shellcheck source=tools/stack/postgres.sh
. "$root/tools/stack/postgres.sh"
# shellcheck source=tools/stack/services.sh
. "$root/tools/stack/services.sh"

graph=$PRISM_STATE.graph.txt
browser_there 'the dashboard' || exit $?

ctl() { PRISM_API_URL=$(address) PRISM_TOKEN_FILE=$PRISM_STATE/token "$PRISM_STATE/bin/prismctl" "$@"; }
post() { # PATH BODY
    curl -fsS -m 20 -H "Authorization: Bearer $(<"$PRISM_STATE/token")" -H 'Content-Type: application/json' \
        -d "$2" "$(address)$1"
}
is_proposed() { [ "$(api "/v1/rebalance/plans/$PRISM_PLAN" | jq -r .state)" = proposed ]; }

# A graph in the store, computed, and a plan of many small batches, so that there is time to look at it.
real_plan() {
    local run
    planted_graph "$graph" 60 100 7
    mkdir -p "$dir/data"
    install -m 0644 "$graph" "$dir/data/graph.txt"
    give "$dir/data"
    PRISM_REDIS_SEEDS=$(stack_env "$dir" IT_REDIS_SEEDS) PRISM_REDIS_USER=client \
        PRISM_REDIS_PASSWORD_FILE=$PRISM_STATE/secrets/redis-client \
        "$PRISM_STATE/bin/prism-load" --graph "$graph" --partitions 4096 --json >/dev/null || fail "prism-load"
    run=$(ctl -o json placement run --graph "$dir/data/graph.txt" --wait | jq -e .id) || fail "placement run"
    PRISM_PLAN=$(post /v1/rebalance/plans "{\"runId\": $run, \"params\": {\"batchVertices\": 1, \"workers\": 1}}" |
        jq -e .id) || fail "plan"
    await 60 "plan $PRISM_PLAN" is_proposed || fail "plan $PRISM_PLAN: $(api "/v1/rebalance/plans/$PRISM_PLAN")"
    PRISM_VERTEX=$(awk 'NR == 50 { print $1 }' "$graph")
    sql "INSERT INTO api_tokens (name, hash, role) VALUES ('operator', sha256('tok-operator'), 'operator')"
    export PRISM_PLAN PRISM_VERTEX PRISM_GRAPH=$graph PRISM_TOKEN_FILE=$PRISM_STATE/token
    export PRISM_REDIS_PORT PRISM_REDIS_PASSWORD_FILE=$PRISM_STATE/secrets/redis-admin
    PRISM_REDIS_PORT=$(redis_port "$PRISM_PORT_BASE" 0)
}

# An API of its own on a database of its own: with rows that no cluster on one machine has, or with none.
made_up_api() { # NAME PORT SQL...
    local name=$1 port=$2 setting
    pg_sql "$dir" postgres -c "CREATE DATABASE $name" || fail "CREATE DATABASE $name"
    pg_migrate "$dir" "$name" "$root/migrations" >/dev/null || fail "migrations"
    pg_sql "$dir" "$name" "${@:3}" >/dev/null || fail "rows of $name"
    for setting in "$dir"/settings/metadata-api/*; do
        export "$(basename "$setting")=$(<"$setting")"
    done
    PRISM_DB_URI=${PRISM_DB_URI%/prism}/$name PRISM_HTTP_PORT=$port PRISM_API_FULL_REFRESH_S=5 \
        "$PRISM_STATE/bin/prism-metadata-api" >"$PRISM_STATE.$name.log" 2>&1 &
    apis+=("$!")
    await 60 "the API of $name" curl -fsS -o /dev/null "http://127.0.0.1:$port/livez" || fail "the API of $name: $PRISM_STATE.$name.log"
}

# What the dr service would write every second.
beats() {
    while kill -0 "${apis[0]}" 2>/dev/null; do # or its connection would keep PostgreSQL from stopping
        printf '%s\n' "UPDATE dr_shards SET beat_at = now() - interval '1.8 s', durable_at = now(), updated_at = now()" \
            "; UPDATE dr_groups SET updated_at = now() ; UPDATE zone_states SET updated_at = now() ;"
        sleep 1
    done | pg_sql "$dir" big >/dev/null 2>&1
}

# Whatever it came to: the rest is closed, too.
close_apis() {
    if [ "${#apis[@]}" -gt 0 ]; then
        kill "${apis[@]}" 2>/dev/null || true
        wait "${apis[@]}" ${beats:+"$beats"} 2>/dev/null || true
    fi
}

"$root/tests/unit/vendored.sh" "$PRISM_BROWSER_MODULES" || fail "what others wrote is not as npm has it"
session_open 3 1
dir=$(readlink -f "$PRISM_STATE")
apis=()
trap 'rc=$?; set +e; close_apis; (exit $rc); session_close' EXIT
real_plan
PRISM_BIG=http://127.0.0.1:$((PRISM_PORT_BASE + 15)) PRISM_EMPTY=http://127.0.0.1:$((PRISM_PORT_BASE + 16))
made_up_api big "${PRISM_BIG##*:}" -f "$root/tests/e2e/dashboard/seed.sql"
made_up_api empty "${PRISM_EMPTY##*:}" \
    -c "INSERT INTO api_tokens (name, hash, role) VALUES ('admin', sha256('tok-admin'), 'admin')"
await 60 "the API of big" curl -fsS -o /dev/null "$PRISM_BIG/readyz" || fail "the API of big: $PRISM_STATE.big.log"
beats &
beats=$!
PRISM_REAL=$(address)
PRISM_SQL_BIG=$(stack_env "$dir" IT_DB_URI | sed 's|/postgres$|/big|')
PRISM_SQL_REAL=$(stack_env "$dir" IT_DB_URI | sed 's|/postgres$|/prism|')
export PRISM_BIG PRISM_EMPTY PRISM_REAL PRISM_SQL_BIG PRISM_SQL_REAL
node "$root/tests/e2e/dashboard/run.mjs" || fail "the dashboard: see above; pictures are in $PRISM_SHOTS"
