# shellcheck shell=bash
# ./dev bench placement: the engine against METIS and igraph. ./dev bench rebalance: slot
# moves against redis-cli. ./dev bench dr: how old the other region's copy is. ./dev bench api:
# look-ups beside nginx. Uses ./dev's root.

cmd_bench() {
    case ${1:-} in
    placement)
        shift
        bench_placement "$@"
        ;;
    rebalance)
        shift
        bench_rebalance "$@"
        ;;
    dr)
        shift
        bench_dr "$@"
        ;;
    api)
        shift
        bench_api "$@"
        ;;
    *) die "bench: what? ./dev bench placement|rebalance|dr|api [--help]" ;;
    esac
}

# Results go to standard output as tables, and to build/bench-placement.json.
bench_placement() {
    local tree=$root/build/release
    ensure_packages "${PACKAGES_UP[@]}" "${PACKAGES_BENCH[@]}"
    step "build"
    # Configured before its peers were installed: they are looked for again.
    if [ -e "$tree/build.ninja" ] && grep -qE '^(METIS|IGRAPH)_LIBRARY:.*NOTFOUND' "$tree/CMakeCache.txt"; then
        cmake -S "$root" -B "$tree" >"$tree/configure.log" 2>&1 || die "cmake failed: $tree/configure.log"
    fi
    build "$root" release graphgen placement-bench placement-bench-ours placement-bench-peer
    step "bench"
    "$tree/bench/placement-bench" --data "$root/tests/data" --cache "$root/build/bench-graphs" \
        --json "$root/build/bench-placement.json" --as "./dev bench placement${*:+ $*}" "$@"
}

# Slot moves against redis-cli --cluster reshard, without replicas and with one. Each
# time a cluster of its own, in build/bench-rebalance, which is removed afterwards.
bench_rebalance() {
    local tree=$root/build/release counts=(0 1) server="" args=() n
    while [ $# -gt 0 ]; do
        case $1 in
        --replicas) IFS=, read -r -a counts <<<"${2:?}" && shift ;;
        --server) server=$(readlink -f "${2:?}") && [ -x "$server" ] || die "no program $2" && shift ;;
        --help) exec "$tree/bench/rebalance-bench" --help ;;
        *) args+=("$1") ;;
        esac
        shift
    done
    ensure_packages "${PACKAGES_UP[@]}"
    step "build"
    build "$root" release rebalance-bench
    for n in "${counts[@]}"; do
        step "bench with $n replica(s) a shard"
        bench_rebalance_once "$tree" "$n" "$server" "${args[@]}"
    done
    jq -s . "$root"/build/bench-rebalance-[0-9].json >"$root/build/bench-rebalance.json"
    rm -f "$root"/build/bench-rebalance-[0-9].json
}

bench_rebalance_once() ( # TREE REPLICAS SERVER ARGS...
    tree=$1 each=$2 server=$3
    shift 3
    home=$root/build/bench-rebalance
    if [ -n "$server" ]; then # the stack starts whatever redis-server is found first
        mkdir -p "$home.bin"
        ln -sfn "$server" "$home.bin/redis-server"
        PATH=$home.bin:$PATH
    fi
    trap '"$root/tools/localstack" stop "$home" && rm -rf "$(readlink -f "$home")" "$home"' EXIT
    "$root/tools/localstack" start "$home" --fresh --shards 6 --replicas "$each" ||
        die "the servers did not start: see above"
    stack=$(readlink -f "$home")
    pg_sql "$stack" postgres -c 'CREATE DATABASE prism' >/dev/null
    pg_migrate "$stack" prism "$root/migrations" >/dev/null || die "the database is not ready"
    for port in $(stack_env "$stack" IT_REDIS_SEEDS | tr ',' '\n' | cut -d: -f2); do
        redis_cli "$stack" "$port" config set appendonly no >/dev/null # no disk in the figures
    done
    BENCH_SEEDS=$(stack_env "$stack" IT_REDIS_SEEDS) \
        BENCH_DB_URI=$(stack_env "$stack" IT_DB_URI | sed 's|/postgres$|/prism|') \
        BENCH_ADMIN=$(stack_env "$stack" IT_REDIS_ADMIN_USER) \
        BENCH_ADMIN_PASSWORD=$(stack_env "$stack" IT_REDIS_ADMIN_PASSWORD) \
        BENCH_SERVICE=$(stack_env "$stack" IT_REBALANCE_REDIS_USER) \
        BENCH_SERVICE_PASSWORD=$(stack_env "$stack" IT_REBALANCE_REDIS_PASSWORD) \
        "$tree/bench/rebalance-bench" --json "$root/build/bench-rebalance-$each.json" "$@"
)

# The real service, between a cluster and an S3 server of its own in build/bench-dr, which are
# removed afterwards.
bench_dr() (
    tree=$root/build/release home=$root/build/bench-dr quick=()
    [ "${1:-}" != --help ] || exec "$tree/bench/dr-bench" --help
    [ "${1:-}" != --quick ] || quick=(--quick)
    ensure_packages "${PACKAGES_UP[@]}" "${PACKAGES_S3[@]}"
    step "build"
    build "$root" release dr-bench dr-restore-bench prism-dr prism-rebalance
    trap '"$root/tests/support/s3.sh" down "$home.s3"; "$root/tools/localstack" stop "$home"
          rm -rf "$(readlink -f "$home")" "$home" "$home.s3"' EXIT
    step "servers"
    "$root/tools/localstack" start "$home" --fresh --shards 3 --replicas 1 ||
        die "the servers did not start: see above"
    "$root/tests/support/s3.sh" up "$home.s3" || die "the S3 server did not start: see above"
    stack=$(readlink -f "$home")
    for port in $(stack_env "$stack" IT_REDIS_SEEDS | tr ',' '\n' | cut -d: -f2); do
        redis_cli "$stack" "$port" config set appendonly no >/dev/null # no disk in the figures
        redis_cli "$stack" "$port" config set repl-backlog-size 256mb >/dev/null
    done
    step "bench"
    export PRISM_IT_DIR=$stack PRISM_IT_MORE=$home.s3
    "$tree/bench/dr-restore-bench" "${quick[@]}" # first: the other one fills the S3 server's memory
    "$tree/bench/dr-bench" "$@"
)

# The real service beside nginx, on a database of its own in build/bench-api, which is removed
# afterwards.
bench_api() (
    tree=$root/build/release home=$root/build/bench-api
    [ "${1:-}" != --help ] || { echo "usage: ./dev bench api [--quick]" && return; }
    ensure_packages "${PACKAGES_UP[@]}" "${PACKAGES_BENCH_API[@]}"
    step "build"
    build "$root" release api-open-loop prism-metadata-api prism-admin test_integration_api_freshness
    trap '"$root/tools/localstack" stop "$home"; rm -rf "$(readlink -f "$home")" "$home"' EXIT
    step "servers"
    "$root/tools/localstack" start "$home" --fresh --shards 3 --replicas 0 ||
        die "the servers did not start: see above"
    stack=$(readlink -f "$home")
    pg_sql "$stack" postgres -c 'CREATE DATABASE prism' >/dev/null
    pg_migrate "$stack" prism "$root/migrations" >/dev/null || die "the database is not ready"
    step "bench"
    "$root/tests/bench/api_bench.sh" "$stack" "$tree" "$@" | tee "$root/build/bench-api.txt"
)
