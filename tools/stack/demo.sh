# shellcheck shell=bash
# The main job on a real graph, measured: load, measure, place, plan, move live,
# measure again; then the graph grows and is placed again, which moves little. Uses
# ./dev's dir, base, partitions, admin, prismctl, step.

# demo GRAPH
demo() {
    local graph=$1 out=$dir/demo plan workload_rc=0 cmd=()
    umask 077 # the ledger tells what is in the store
    mkdir -p "$out" "$dir/data"
    chmod 700 "$out"
    rm -f "$out"/*.json "$out"/*.log "$out"/*.shipped "$out/ledger"
    install -m 0644 "$graph" "$dir/data/$(basename "$graph")"
    give "$out" "$dir/data"
    graph=$dir/data/$(basename "$graph")
    stop_plans
    demo_clean
    step "demo 1/9: load $(basename "$graph")"
    tool load load --graph "$graph" --partitions "$partitions"
    step "demo 2/9: measure cross-zone traffic before"
    measure before "$graph"
    step "demo 3/9: compute the placement"
    # shellcheck disable=SC2086 # options, if any
    long placement operationId placement run --graph "$graph" ${PRISM_DEMO_PLACEMENT:-}
    step "demo 4/9: plan"
    long plan operationId plan create --run "$(jq -e .id "$out/placement.json")"
    plan=$(jq -e .id "$out/plan.json")
    demo_plan "$plan"
    step "demo 5/9: move, while the workload reads and writes"
    move_live "$graph" "$plan"
    step "demo 6/9: measure after"
    fetch_routes
    measure after "$graph" --routes "$out/routes"
    second_round "$graph"
    verify
    demo_dr
    demo_table
}

# A day later: 1 % more edges, between vertices that are there. Today's placement
# is improved, not made anew, so few vertices move.
second_round() { # GRAPH
    local graph=$1 plan
    printf '{}\n' >"$out/grown.json"
    [ "${PRISM_DEMO_ROUNDS:-2}" -gt 1 ] || return 0
    grow "$graph" "$dir/data/new-edges.txt" || return 0
    step "demo 7/9: load 1 % new edges"
    tool grown load --graph "$dir/data/new-edges.txt" --partitions "$partitions"
    step "demo 8/9: place again, from where everything is"
    long placement2 operationId placement run --graph "$graph"
    ctl report2 placement show "$(jq -e .id "$out/placement2.json")" --report || exit 1
    long plan2 operationId plan create --run "$(jq -e .id "$out/placement2.json")"
    plan=$(jq -e .id "$out/plan2.json")
    ctl planned2 plan show "$plan" || exit 1
    step "demo 9/9: move $(jq -r .summary.moves "$out/planned2.json") vertices, measure"
    if [ "$(jq .summary.moves "$out/planned2.json")" -gt 0 ]; then
        long execute2 executeOperationId plan execute "$plan" --yes
    fi
    ctl result2 plan show "$plan" || exit 1
    fetch_routes
    measure grown-after "$graph" --routes "$out/routes"
}

# Writes the new edges, the same for the same graph, and adds them to the graph's
# own file. Edge lists only: binary and METIS files cannot be added to.
grow() { # GRAPH NEW
    local pack plain=${1%.xz}
    plain=${plain%.gz}
    case ${plain%.zst} in
    *.metis | *.graph | *.bin32 | *.bin64)
        say "no second round: $(basename "$1") is no text to add edges to"
        return 1
        ;;
    esac
    case $1 in
    *.xz) pack=(xz -c) ;;
    *.gz) pack=(gzip -c) ;;
    *.zst) pack=(zstd -qc) ;;
    *) pack=(cat) ;;
    esac
    unpacked "$1" | awk '/^[#%]/ || NF < 2 { next }
        { edges++ }
        !($1 in seen) { seen[$1]; id[n++] = $1 }
        END {
            srand(20261121)
            for (i = 0; i < edges / 100; i++) print id[int(rand() * n)], id[int(rand() * n)]
        }' >"$2" || die "cannot read $1"
    "${pack[@]}" <"$2" | cat "$1" - >"$1.grown" || die "cannot add to $1"
    mv "$1.grown" "$1"
    chmod 0644 "$1" "$2"
    give "$1" "$2"
}

unpacked() { # FILE
    case $1 in
    *.xz) xz -dc "$1" ;;
    *.gz) gzip -dc "$1" ;;
    *.zst) zstd -qdc "$1" ;;
    *) cat "$1" ;;
    esac
}

# What is about to be done, and whether it pays.
demo_plan() {
    ctl planned plan show "$1" || exit 1
    jq -r '.summary | "  \(.moves) vertices to move, about \(.durationS * 10 | round / 10) s",
        "  cross-zone share of the graph \(.gain.crossShareBefore * 1000 | round / 10) % -> " +
        "\(.gain.crossShareAfter * 1000 | round / 10) %",
        "  \(.verdict.why)"' "$out/planned.json" >&2 || die "no summary in $out/planned.json"
}

# Nothing may move vertices while the store is emptied and filled: a plan that was
# left (a demo that was cut short) is canceled, and its batches are seen to an end.
stop_plans() {
    local plan plans
    plans=$(pg_sql "$dir" prism -c "SELECT id FROM plans
        WHERE state IN ('approved', 'running', 'paused') ORDER BY id") || die "cannot read the plans"
    for plan in $plans; do
        step "demo: cancel plan $plan, left by an earlier demo"
        prismctl plan cancel "$plan" --yes >/dev/null || # it may have ended meanwhile
            say "plan $plan could not be canceled: waiting for its end"
    done
    await "${PRISM_CANCEL_S:-60}" "plans to end" nothing_moves ||
        die "$(moving) (log: $dir/log/rebalance/current)"
}
nothing_moves() { [ -z "$(moving)" ]; }
# Names the plans that still move something, with their unfinished batches. A
# canceled plan is left alone only once its execution has ended.
moving() {
    pg_sql "$dir" prism <<'EOS' || printf 'the plans cannot be read'
SELECT string_agg(format('plan %s is %s with %s unfinished batches', id, state, batches), ', ')
FROM (SELECT p.id, p.state, count(m.batch) AS batches
      FROM plans p LEFT JOIN operations o
          ON o.id = p.execute_operation_id AND o.state IN ('pending', 'running')
      LEFT JOIN moves m
          ON m.plan_id = p.id AND m.state NOT IN ('done', 'failed', 'rolled_back')
      GROUP BY p.id, o.id
      HAVING p.state IN ('approved', 'running', 'paused') OR o.id IS NOT NULL
          OR count(m.batch) > 0) AS busy;
EOS
}

# dr's heartbeats are nobody's data.
demo_beats() { # PORT...
    local port
    for port in "$@"; do
        redis_cli "$dir" "$port" --scan --pattern 'prism:beat:*' || die "Redis 127.0.0.1:$port does not answer"
    done | wc -l
}

# The store's content is replaced, so it must be what a demo loaded, or nothing.
demo_clean() {
    local port ports keys=0 n
    IFS=, read -r -a ports <<<"$(stack_env "$dir" IT_REDIS_SEEDS)"
    ports=("${ports[@]##*:}")
    for port in "${ports[@]}"; do
        n=$(redis_cli "$dir" "$port" dbsize) || die "Redis 127.0.0.1:$port does not answer"
        keys=$((keys + n))
    done
    [ -e "$dir/run/demo-data" ] || keys=$((keys - $(demo_beats "${ports[@]}")))
    [ "$keys" -gt 0 ] || return 0
    [ -e "$dir/run/demo-data" ] ||
        die "the store holds $keys keys that no demo loaded: not replacing them (./dev clean removes everything)"
    step "demo: empty the store"
    for port in "${ports[@]}"; do
        if redis_cli "$dir" "$port" role | head -n 1 | grep -qx master; then
            redis_cli "$dir" "$port" flushall async >/dev/null || die "cannot empty redis-$port"
        fi
    done
    # Routes say where vertices are: with no vertices there are none. Finished
    # runs and plans stay as history.
    pg_sql "$dir" prism <<'EOS' || die "cannot reset the routes (log: $dir/log/postgres/current)"
BEGIN;
DELETE FROM route_bases WHERE kind = 'current';
DELETE FROM route_deltas;
UPDATE partitions SET vertices = 0, bytes = 0 WHERE vertices <> 0 OR bytes <> 0;
COMMIT;
EOS
}

# As the data plane's own user: tool NAME PROGRAM ARGS... ; the last line of the
# output, the result, goes to demo/NAME.json.
tool() {
    local name=$1 program=$2 rc=0
    shift 2
    : >"$dir/run/demo-data"
    data_plane "$program" "$@" --json
    "${cmd[@]}" 2>"$out/$name.log" | progress "$program" "$out/$name.json" ||
        rc=${PIPESTATUS[0]}
    if [ "$rc" != 0 ] || ! jq -e .done "$out/$name.json" >/dev/null 2>&1; then
        jq -r '.error // empty' "$out/$name.json" >&2 || true
        tail -n 5 "$out/$name.log" >&2
        die "prism-$program failed (exit $rc): see $out/$name.log and $out/$name.json"
    fi
}

# Sets cmd to the whole command line, so that it can be run in the background as
# one process. The password stays in its file: a command line is public.
data_plane() { # PROGRAM ARGS...
    local program=$1 seeds
    shift
    seeds=$(stack_env "$dir" IT_REDIS_SEEDS)
    cmd=(env "PRISM_REDIS_USER=$(stack_env "$dir" IT_CLIENT_REDIS_USER)"
        "PRISM_REDIS_PASSWORD_FILE=$dir/secrets/redis-client"
        "PRISM_NATS_URL=$(stack_env "$dir" IT_NATS_URL)" PRISM_NATS_USER=client
        "PRISM_NATS_PASSWORD_FILE=$dir/secrets/nats-client"
        "$dir/bin/prism-$program" --cluster "$seeds" "$@")
}

# Draws a bar from the lines' done_ratio, or from their seconds of SECONDS; keeps
# the last line.
progress() { # WHAT FILE [SECONDS]
    local what=$1 file=$2 of=${3:-1} line last="" percent shown=-25 bar
    while IFS= read -r line; do
        last=$line
        [[ $line =~ \"(done_ratio|seconds)\":\ *([0-9.]+) ]] || continue
        percent=$(awk -v r="${BASH_REMATCH[2]}" -v of="$of" \
            'BEGIN { p = r * 100 / of; printf "%d", (p > 100 ? 100 : p) }')
        if [ -t 2 ]; then
            printf -v bar '%*s' $((percent / 4)) ''
            printf '\r  %-10s [%-25s] %3d %%' "$what" "${bar// /#}" "$percent" >&2
        elif [ $((percent - shown)) -ge 25 ]; then
            shown=$percent
            printf '  %s: %d %%\n' "$what" "$percent" >&2
        fi
    done
    if [ -t 2 ] && [ -n "${bar:-}" ]; then
        printf '\r%60s\r' '' >&2
    fi
    printf '%s\n' "$last" >"$file"
}

# ctl NAME ARGS...: prismctl; its answer goes to demo/NAME.json.
ctl() {
    local name=$1
    shift
    prismctl -o json "$@" >"$out/$name.json" || {
        say "prismctl $* failed (logs: $dir/log/{metadata-api,placement,rebalance}/current)"
        return 1
    }
}
# long NAME OPERATION ARGS...: starts long work and follows it, with its progress.
# OPERATION: the member of the answer that names the operation.
long() {
    local name=$1 member=$2
    shift 2
    ctl "$name" "$@" || exit 1
    prismctl operation wait "$(jq -er ".$member" "$out/$name.json")" >/dev/null ||
        die "$1 $2 failed (logs: $dir/log/{metadata-api,placement,rebalance}/current)"
}

workload() { # SECONDS GRAPH ARGS...: sets cmd
    local seconds=$1 graph=$2
    shift 2
    data_plane workload --graph "$graph" --partitions "$partitions" \
        --zones "$(stack_env "$dir" IT_ZONES)" --seconds "$seconds" --zipf 1.2 \
        --write-ratio 0.2 --ledger "$out/ledger" --tell --json "$@"
}

# Where moved vertices live, as a client fetches it: page after page.
fetch_routes() {
    local home=0
    : >"$out/routes"
    while [ -n "$home" ]; do
        curl -fsS -m 60 -H @<(printf 'Authorization: Bearer %s' "$(<"$dir/token")") -D "$out/routes.head" \
            "$(api_url)/v1/routes?firstHome=$home" >>"$out/routes" ||
            die "cannot fetch the routes (log: $dir/log/metadata-api/current)"
        home=$(sed -n 's/^Prism-Next-Home: *\([0-9]*\).*/\1/Ip' "$out/routes.head")
    done
    stat -c '{"bytes": %s}' "$out/routes" >"$out/routes.json"
}

measure() { # NAME GRAPH ARGS...
    local seconds=${PRISM_MEASURE_S:-10}
    local shipped
    shipped=$(demo_shipped)
    workload "$seconds" "$2" --seed 1 "${@:3}"
    "${cmd[@]}" 2>"$out/$1.log" |
        progress workload "$out/$1.json" "$seconds" || die "prism-workload failed: see $out/$1.log"
    printf '%s\n' $(($(demo_shipped) - shipped)) >"$out/$1.shipped"
    jq -e .done "$out/$1.json" >/dev/null || die "prism-workload did not finish: see $out/$1.log"
}

# The background workload checks its own writes when it is stopped; verify does
# so again for every write of the demo, once nothing moves any more.
dr_ships() { [ -e "$dir/run/dr" ]; }
move_live() { # GRAPH PLAN
    local pid rc=0 moved=0 seconds=0
    # With DR a vertex moves once its copy is durable in the bucket and if nobody wrote to it meanwhile:
    # the hottest ones move when it is over.
    if dr_ships; then
        seconds=${PRISM_DEMO_WRITES_S:-20}
        say "  for $seconds s: what is written to every second moves after that, for its copy has to be durable first"
    fi
    workload "$seconds" "$1" --seed 2
    "${cmd[@]}" >"$out/during.out" 2>"$out/during.log" 9>&- &
    pid=$!
    # shellcheck disable=SC2064 # this pid, now
    trap "kill -TERM $pid 2>/dev/null || true" EXIT
    (long execute executeOperationId plan execute "$2" --yes) || moved=1
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" || rc=$?
    trap - EXIT
    tail -n 1 "$out/during.out" >"$out/during.json"
    [ "$moved" = 0 ] || die "plan $2 was not executed"
    jq -e .done "$out/during.json" >/dev/null ||
        die "the background workload failed (exit $rc): $(tail -n 1 "$out/during.log"); see $out/during.log and $out/during.json"
    [ "$rc" = 0 ] || workload_rc=$rc # the table first, then the exit code
    ctl result plan show "$2" || exit 1
}

verify() {
    data_plane workload --verify --ledger "$out/ledger" --partitions "$partitions" --json
    "${cmd[@]}" >"$out/verify.out" 2>"$out/verify.log" || true # the table says what is lost
    tail -n 1 "$out/verify.out" >"$out/verify.json"
    jq -e '.lost != null' "$out/verify.json" >/dev/null ||
        die "the ledger could not be verified: see $out/verify.log and $out/verify.json"
}

# What dr has written to the bucket since it started, in bytes; 0 without it.
demo_shipped() {
    [ -e "$dir/run/dr" ] || {
        printf '0\n'
        return
    }
    curl -fsS -m 10 "http://127.0.0.1:$(service_port "$base" dr)/metrics" |
        awk '$1 == "prism_dr_stored_bytes_total" { n = $2 } END { printf "%.0f\n", n }' ||
        die "dr does not answer (log: $dir/log/dr/current)"
}

# How far the other region is behind, and a drill that proves that it all comes back.
demo_dr() {
    printf '{"on": false}\n' >"$out/dr.json"
    [ -e "$dir/run/dr" ] || return 0
    step "demo: prismctl dr drill --all"
    prismctl -o json dr drill --all >"$out/drill.json" || # the table says which
        say "not every drill is good: prismctl dr drills (log: $dir/log/dr/current)"
    jq -e .items "$out/drill.json" >/dev/null || die "no drills in $out/drill.json"
    ctl dr-status dr status || exit 1
    jq -n --slurpfile drill "$out/drill.json" --slurpfile status "$out/dr-status.json" \
        --argjson before "$(<"$out/before.shipped")" --argjson after "$(<"$out/after.shipped")" \
        '{on: true, before_bytes: $before, after_bytes: $after, status: $status[0],
          drills: $drill[0].items}' >"$out/dr.json"
}

optional() { cat "$out/$1.json" 2>/dev/null || printf '{}\n'; } # what a demo may do without

demo_table() {
    local vertex
    jq -n --slurpfile load "$out/load.json" --slurpfile before "$out/before.json" \
        --slurpfile during "$out/during.json" --slurpfile after "$out/after.json" \
        --slurpfile verify "$out/verify.json" \
        --slurpfile routes "$out/routes.json" \
        --slurpfile plan "$out/result.json" --slurpfile placement "$out/placement.json" \
        --slurpfile grown "$out/grown.json" --slurpfile report2 <(optional report2) \
        --slurpfile dr "$out/dr.json" \
        --slurpfile result2 <(optional result2) --slurpfile after2 <(optional grown-after) \
        --arg usd_per_gb "${PRISM_PRICE_USD_PER_GB:-0.01}" \
        --arg sides "${PRISM_PRICE_BILLED_SIDES:-2}" \
        -f "$root/tools/stack/summary.jq" >"$out/summary.json" ||
        die "cannot sum up: see the files in $out"
    jq -r -f "$root/tools/stack/table.jq" "$out/summary.json" | tee "$out/summary.txt"
    vertex=$(unpacked "$graph" | awk '!/^#/ && !n++ { print $1 }')
    # shellcheck disable=SC2016 # for the reader's shell
    printf '\nlook any vertex up:\n  curl -H "Authorization: Bearer $(cat %s)" %s/v1/vertices/%s\n' \
        "$state/token" "$(api_url)" "$vertex"
    [ "$(jq .lost "$out/summary.json")" = 0 ] ||
        die "acknowledged writes were lost: see $out/during.log and $out/verify.log"
    [ "$workload_rc" = 0 ] || die "the background workload failed: see $out/during.log"
}
