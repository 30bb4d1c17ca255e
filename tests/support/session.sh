# shellcheck shell=bash
# For tests that run the whole system: a stack of their own under ./dev, in
# PRISM_STATE, with the programs of the build under test (PRISM_PROGRAMS), both
# set by CMake. Nothing is shared with a developer's stack.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=tools/stack/common.sh
. "$root/tools/stack/common.sh"
# shellcheck source=tools/stack/ports.sh
. "$root/tools/stack/ports.sh"

: "${PRISM_STATE:?is set by CMake}" "${PRISM_PROGRAMS:?is set by CMake}"
export PRISM_NO_DEMO=1 PRISM_MEASURE_S=${PRISM_MEASURE_S:-2}

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

session_open() { # SHARDS REPLICAS
    export PRISM_SHARDS=$1 PRISM_REPLICAS=$2
    if [ -e "$PRISM_STATE" ] || [ -L "$PRISM_STATE" ]; then # a run that was cut short
        "$root/tools/localstack" stop "$PRISM_STATE/west"
        "$root/tools/localstack" stop "$PRISM_STATE"
        rm -rf "$(readlink -f "$PRISM_STATE")" "$PRISM_STATE"
    fi
    PRISM_PORT_BASE=$(free_base "$PRISM_STATE" $((PRISM_SHARDS * (PRISM_REPLICAS + 1))))
    export PRISM_PORT_BASE PRISM_SITE_PORT_BASE=$PRISM_PORT_BASE
    local n
    for ((n = 0; PRISM_SITE_PORT_BASE == PRISM_PORT_BASE; n++)); do # for a second site, with DR
        PRISM_SITE_PORT_BASE=$(free_base "$PRISM_STATE/west/$n" 6)
    done
    trap session_close EXIT
    "$root/dev" up || fail "./dev up"
}

session_close() {
    local rc=$?
    "$root/tools/localstack" stop "$PRISM_STATE/west"
    "$root/tools/localstack" stop "$PRISM_STATE"
    if [ "$rc" -ne 0 ]; then
        printf 'logs are in %s\n' "$(readlink -f "$PRISM_STATE")/log" >&2
    fi
}

# planted_graph FILE COMMUNITIES SIZE SEED: communities that mostly keep to
# themselves (a tenth of the edges leave), numbered so that ids say nothing.
planted_graph() {
    awk -v communities="$2" -v size="$3" -v seed="$4" 'BEGIN {
        srand(seed); n = communities * size
        for (v = 0; v < n; v++) {
            home = int(v / size) * size
            print id(v), id(home + (v - home + 1) % size)
            for (e = 0; e < 5; e++) {
                u = rand() < 0.9 ? home + int(rand() * size) : int(rand() * n)
                if (u != v) print id(v), id(u)
            }
        }
    }
    function id(v) { return v * 7919 % 1000003 }' >"$1"
}

address() { printf 'http://127.0.0.1:%s\n' "$(service_port "$PRISM_PORT_BASE" metadata-api)"; }
api() { # PATH: a GET with the admin token; fails unless 2xx
    curl -fsS -m 10 -H "Authorization: Bearer $(<"$PRISM_STATE/token")" "$(address)$1"
}

sql() { # superuser of the session's database
    psql -X -q -A -t -v ON_ERROR_STOP=1 "$(sed -n 's/^IT_DB_URI=//p' "$PRISM_STATE/env" |
        sed 's|/postgres$|/prism|')" -c "$1"
}
