# shellcheck shell=bash
# ./dev test compose: the stack of compose/ end to end, on a machine that need not reach a registry:
# images, start, what containers may do, the demo's job, a zone that is killed and comes back, DR,
# the services of the release before, arm64. With a Docker engine of its own where none answers, or
# with --fresh. Uses ./dev's root and step, and lint.sh's release_before.

COMPOSE_LIMIT_BYTES=100000000 # of one image, all its layers
COMPOSE_UP_S=60               # from built to healthy
COMPOSE_STEPS="demo zone again prometheus dr rollback arm64" # in this order; zone and again want demo
COMPOSE_SERVICES=(metadata-api placement rebalance autoscale dr)
compose_rows=() compose_skipped=()

compose_test() { # [--fresh] [--only STEP,...] [--before COMMIT]
    local work=$root/build/compose ports only="" before="" one docker=docker_up
    while [ $# -gt 0 ]; do
        case $1 in
        --fresh) docker=docker_fresh ;; # nothing that was built before is used: the bases, too, are made anew
        --only) only=${2:?--only needs steps: $COMPOSE_STEPS} && shift ;;
        --before)
            before=$(git -C "$root" rev-parse --verify --quiet "${2:?--before needs a commit: the release before}^{commit}") ||
                die "--before $2: no such commit"
            shift
            ;;
        *) die "test compose [--fresh] [--only STEP,...] [--before COMMIT], of these: $COMPOSE_STEPS" ;;
        esac
        shift
    done
    ensure_packages "${PACKAGES_COMPOSE[@]}"
    command -v npm >/dev/null || ensure_packages npm
    mkdir -p "$work/work"
    exec 9>"$work/lock"
    flock -n 9 || die "another ./dev test compose is at work"
    step "Docker engine"
    trap compose_end EXIT
    "$docker" "$work/engine"
    ports=$(free_base "$work" 1)
    export COMPOSE_PROJECT_NAME=prism-test COMPOSE_PROFILES=
    export COMPOSE_FILE=$root/compose/docker-compose.yml:$root/compose/offline/docker-compose.yml
    export DOCKER_BUILDKIT=1 PRISM_SUBNET=${PRISM_SUBNET:-10.213} PRISM_SECRETS=$work/secrets PRISM_TAG=test
    export PRISM_API_PUBLISH=127.0.0.1:$((ports + 10)) PRISM_PROMETHEUS_PUBLISH=127.0.0.1:$((ports + 11))
    "$root/compose/secrets.sh"
    compose_running=yes
    compose_wipe # what a test that was killed left
    compose_v1
    compose_images
    compose_start
    compose_hardened
    for one in $COMPOSE_STEPS; do
        if [ -z "$only" ] || [[ ,$only, == *,$one,* ]]; then
            "compose_$one"
        else
            skipped "$one: not among $only"
        fi
    done
    compose_rows+=("everything" "$SECONDS s")
    compose_table
}

compose_end() {
    local rc=$?
    if [ -n "${compose_running:-}" ]; then
        if [ "$rc" != 0 ]; then
            docker compose --profile '*' ps -a >&2 || true
            docker compose --profile '*' logs --no-color --tail 20 >"$root/build/compose/failed.log" 2>&1 || true
            say "what the containers said last: $root/build/compose/failed.log"
        fi
        compose_wipe
    fi
    docker_down "$root/build/compose/engine"
    exit "$rc"
}
compose_wipe() {
    docker ps -aq --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" |
        xargs -r docker rm -f >/dev/null 2>&1 || true
    docker compose --profile '*' down -v --remove-orphans --timeout 5 >/dev/null 2>&1 || true
    find "$root/build/compose/work" -mindepth 1 -delete
    chmod 0777 "$root/build/compose/work" # the containers' user is nobody here
}

# timed NAME COMMAND...: a row of the table at the end; sets took.
timed() {
    local name=$1 from
    shift
    from=$(date +%s%N)
    "$@" || die "$name failed"
    took=$(awk -v ns=$(($(date +%s%N) - from)) 'BEGIN { printf "%.1f", ns / 1e9 }')
    compose_rows+=("$name" "$took s")
}
skipped() {
    compose_skipped+=("$1")
    say "SKIPPED: $1"
}
compose_table() {
    local i
    for ((i = 0; i < ${#compose_rows[@]}; i += 2)); do
        printf '  %-58s %s\n' "${compose_rows[i]}" "${compose_rows[i + 1]}"
    done
    [ ${#compose_skipped[@]} -eq 0 ] || printf '  SKIPPED: %s\n' "${compose_skipped[@]}"
    printf 'test compose: OK%s\n' "${compose_skipped[*]:+, but ${#compose_skipped[@]} steps were SKIPPED}"
}

quiet() { # COMMAND...: its output only when it fails
    local log=$root/build/compose/step.log
    "$@" >"$log" 2>&1 || {
        tail -n 30 "$log" >&2
        return 1
    }
}

# Compose v1 reads the files, too. Debian 12 has it: its packages are unpacked here, not installed.
compose_v1() {
    local dir=$root/build/compose/v1 packages
    step "Compose v1"
    if [ ! -e "$dir/usr/bin/docker-compose" ]; then
        if ! command -v python3 >/dev/null ||
            [[ $(apt-cache policy docker-compose | sed -n 's/^ *Candidate: //p') != 1.* ]]; then
            skipped "Compose v1: no python3 here, or apt knows no docker-compose 1"
            return
        fi
        mapfile -t packages < <(apt-cache depends --recurse --important docker-compose | grep -E '^(docker-compose|python3-.*)$')
        rm -rf "$dir"
        mkdir -p "$dir"
        (cd "$dir" && quiet apt-get download -q -o APT::Sandbox::User=root "${packages[@]}" &&
            for one in ./*.deb; do dpkg-deb -x "$one" . || exit; done && rm ./*.deb) || die "cannot fetch Compose v1"
    fi
    PYTHONPATH=$dir/usr/lib/python3/dist-packages python3 "$dir/usr/bin/docker-compose" --profile dr config -q ||
        die "Compose v1 does not read $COMPOSE_FILE"
}

compose_images() {
    step "stand-ins of Debian's packages"
    timed "base and stand-ins built" quiet "$root/compose/offline/build.sh"
    step "images of Prism"
    timed "images of Prism built" quiet docker compose --profile '*' build
    images_small "$PRISM_TAG"
}
images_small() { # TAG: none is larger than it may be, and all but what is an image's own is there once
    local service layers common bytes name
    common=$(layers_of metadata-api "$1" | sed '$d') # without the program itself
    for service in "${COMPOSE_SERVICES[@]}" tools; do
        name=prism-$service:$1
        bytes=$(docker image inspect -f '{{.Size}}' "$name")
        compose_rows+=("image $name" "$((bytes / 1000000)) MB")
        [ "$bytes" -le "$COMPOSE_LIMIT_BYTES" ] || die "$name has $bytes bytes, over $COMPOSE_LIMIT_BYTES"
        layers=$(layers_of "$service" "$1" | head -n "$(grep -c . <<<"$common")")
        [ "$layers" = "$common" ] || die "$name does not share the layers of the others"
    done
}
layers_of() { docker image inspect -f '{{range .RootFS.Layers}}{{println .}}{{end}}' "prism-$1:$2" | sed '/^$/d'; }

compose_up() { quiet docker compose up -d --wait --wait-timeout 300 --quiet-pull; }

# Too slow is wrong, unless others keep every processor busy: before it, when nothing of ours is at work, or after.
compose_start() {
    local first last
    step "docker compose up -d --wait"
    first=$(load_now)
    timed "up, healthy (wanted: $COMPOSE_UP_S s)" compose_up
    at_least "$took" "$COMPOSE_UP_S" || return 0
    last=$(load_now)
    at_least "$first" "$(nproc)" || at_least "$last" "$(nproc)" ||
        die "the start took $took s, more than $COMPOSE_UP_S s, at a load of $first before it and $last after it"
    skipped "the start within $COMPOSE_UP_S s: it took $took s on $(nproc) processors, at a load of $first before it and $last after it"
}
at_least() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a >= b) }'; }
# How many processes want a processor, on average over 5 s. Linux' own figure still has in it what a minute ago was.
load_now() {
    local i
    for ((i = 0; i < 50; i++)); do
        awk '$1 == "procs_running" { print $2 - 1 }' /proc/stat # without this one
        sleep 0.1
    done | awk '{ n += $1 } END { printf "%.1f", n / NR }'
}

# Every container, jobs too; and no secret shows in what Docker tells about them.
compose_hardened() {
    local seen=$root/build/compose/inspect.json bad file first
    step "what the containers may do"
    docker compose ps -aq | xargs docker inspect >"$seen"
    bad=$(jq -r '.[] | select(
        (.HostConfig.ReadonlyRootfs and .HostConfig.CapDrop == ["ALL"] and (.HostConfig.CapAdd | not)
         and (.HostConfig.SecurityOpt | index("no-new-privileges:true")) and .HostConfig.Memory > 0
         and .HostConfig.PidsLimit > 0 and (.HostConfig.Privileged | not)
         and (.Config.User | test("^(root|0)?(:|$)") | not)) | not) | .Name' "$seen")
    [ -z "$bad" ] || die "these may do too much: $bad"
    for file in "$PRISM_SECRETS"/*; do
        first=$(grep -m 1 . "$file") || die "the secret $(basename "$file") is empty"
        ! grep -qF -- "$first" "$seen" || die "docker inspect shows the secret $(basename "$file")"
    done
    compose_rows+=("containers without rights, read-only, limited" "$(jq length "$seen")")
}

tools_run() { # [OPTION...] COMMAND...: in a container of `tools`, with /work
    docker compose run --rm -T -v "$root/build/compose/work:/work" "$@"
}
topology_state() { docker compose run --rm -T tools prismctl -o json topology 2>/dev/null | jq -r .state; }
topology_is() { [ "$(topology_state)" = "$1" ]; }

compose_demo() { demo_runs "demo"; }
demo_runs() { # NAME: of the row
    local summary=$root/build/compose/work/demo/summary.json
    step "the demo's job: load, measure, place, move while it is written to, measure"
    timed "$1" tools_run tools bash /usr/share/prism/jobs/demo.sh
    jq -e '.lost == 0 and .moves.vertices > 0 and .during.writes_acked > 0 and
        .after.root_zone < .before.root_zone / 2' "$summary" >/dev/null ||
        die "the demo: $(jq -c '{lost, moves, before: .before.root_zone, after: .after.root_zone}' "$summary")"
    compose_rows+=("vertices moved, acknowledged writes lost" "$(jq -r '"\(.moves.vertices), \(.lost)"' "$summary")")
}

# Of the workload that runs meanwhile: writes that were acknowledged so far.
acked() {
    local n
    n=$(docker logs --tail 1 prism-test-writer 2>/dev/null | jq -r '.writes_acked // 0' 2>/dev/null) || true
    printf '%s\n' "${n:-0}"
}
acked_above() { [ "$(acked)" -gt "$1" ]; }
covered() { docker exec prism-test-watcher bash /usr/share/prism/jobs/covered.sh a >/dev/null 2>&1; }

writer_start() { # NAME: of its ledger, too
    docker compose run -d --name prism-test-writer -v "$root/build/compose/work:/work" tools \
        bash /usr/share/prism/jobs/workload.sh --graph /graphs/ego-twitter.txt.xz --seconds 0 \
        --write-ratio 0.5 --threads 1 --batch 4 --writer "$1" --ledger "/work/$1" >/dev/null 2>&1
    await 60 "the workload" acked_above 0 || die "the workload writes nothing"
}
writer_end() {
    local last
    docker kill --signal TERM prism-test-writer >/dev/null
    docker wait prism-test-writer >/dev/null
    last=$(docker logs --tail 1 prism-test-writer 2>/dev/null)
    jq -e '.done and .lost == 0 and .writes_acked > 0' <<<"$last" >/dev/null ||
        die "the workload: $(docker logs --tail 3 prism-test-writer 2>&1)"
    compose_rows+=("writes acknowledged meanwhile, lost" "$(jq -r '"\(.writes_acked), \(.lost)"' <<<"$last")")
    docker rm -f prism-test-writer >/dev/null 2>&1 || true
}

compose_zone() {
    local zone=(redis-a1 redis-a2 redis-a3 redis-a4) before
    step "zone a is killed while a workload writes"
    writer_start zone
    docker compose run -d --rm --name prism-test-watcher cluster sleep infinity >/dev/null 2>&1
    docker compose kill "${zone[@]}" >/dev/null 2>&1
    timed "zone killed, every slot served by another zone" await 120 "the fail-over" covered
    before=$(acked)
    timed "and the next write acknowledged" await 120 "writes to go on" acked_above "$before"
    topology_is degraded || die "a zone is dead, and the topology is $(topology_state)"
    step "zone a comes back"
    timed "up again" compose_up
    timed "topology ok, every replica in step" await 180 "the topology" topology_is ok
    writer_end
    docker rm -f prism-test-watcher >/dev/null 2>&1 || true
}

verify_ledger() { # NAME
    tools_run tools prism-workload --verify --ledger "/work/$1" --partitions 4096 --json 2>/dev/null |
        tail -n 1 | jq -e '.lost == 0 and .verified > 0' >/dev/null || die "acknowledged writes of $1 are lost"
}

compose_again() {
    step "down and up: what was written is there"
    timed "down" quiet timeout 180 docker compose down --timeout 30
    timed "up with data" compose_up
    await 120 "the topology" topology_is ok || die "the topology is $(topology_state)"
    verify_ledger demo/ledger
    verify_ledger zone
    timed "up, when everything is" compose_up
}

scraped() {
    curl -fsS -m 5 "http://$PRISM_PROMETHEUS_PUBLISH/api/v1/targets?state=active" |
        jq -e '[.data.activeTargets[] | .health] | length >= 5 and all(. == "up")' >/dev/null
}
compose_prometheus() {
    local rules
    step "prometheus"
    await 90 "every target to be scraped" scraped || die "prometheus: http://$PRISM_PROMETHEUS_PUBLISH/targets"
    rules=$(curl -fsS -m 5 "http://$PRISM_PROMETHEUS_PUBLISH/api/v1/rules" | jq '[.data.groups[].rules[]] | length')
    [ "$rules" -gt 0 ] || die "prometheus has no rules"
    compose_rows+=("rules in prometheus" "$rules")
}

shipping() {
    docker compose run --rm -T tools prismctl -o json dr status 2>/dev/null |
        jq -e '(.shards | length) == 6 and all(.shards[]; .state == "streaming")' >/dev/null
}
drilled() {
    local said
    if ! said=$(docker compose run --rm -T tools prismctl dr drill --all 2>&1) ||
        ! grep -q '^proven of 6 of 6: ' <<<"$said"; then
        die "prismctl dr drill: $said"
    fi
}
shipped() { timed "$1" await 120 "dr" shipping; } # NAME: of the row
# The runbook's own words, with rebalance stopped, for it has the lease that this takes.
compose_rebuilt() {
    local command
    step "routes made anew"
    command=$(sed -n '/^## rebuild-routes$/,/^## /s/^    //p' "$root/docs/runbooks/README.md")
    quiet docker compose stop rebalance || die "rebalance does not stop"
    timed "routes made anew by Redis' administrator" quiet bash -c "$command"
    compose_rows+=("routes found" "$(jq -s '.[-1].routes' "$root/build/compose/step.log")")
    quiet docker compose start rebalance || die "rebalance does not start"
}

compose_dr() {
    step "the profile dr: an S3 server, and every shard shipped"
    export COMPOSE_PROFILES=dr
    timed "s3 and dr healthy" compose_up
    shipped "every shard streaming"
    step "every shard restored and loaded within the container of dr"
    timed "drills of every shard" drilled
    compose_rebuilt
    compose_hardened
}

# Rolling back takes the services alone: those of the release before work with the schema, streams
# and function library of this one, and are replaced again while clients write.
compose_rollback() {
    local tree=$root/build/compose/before commit=$before service services=("${COMPOSE_SERVICES[@]}")
    # While no release has a tag: the tree before the newest migration came.
    [ -n "$commit" ] || commit=$(release_before migrations --diff-filter=A) || {
        skipped "rollback: no release before this one (a shallow clone?); --before names one"
        return 0
    }
    step "rollback: images of $(git -C "$root" log -1 --format='%h (%cs)' "$commit")"
    rm -rf "$tree"
    mkdir -p "$tree"
    git -C "$root" archive "$commit" | tar -x -C "$tree"
    for service in "${services[@]}"; do
        quiet docker build -f "$tree/compose/Dockerfile" --target "$service" --tag "prism-$service:before" \
            --build-arg BASE=prism-offline/base:trixie "$tree" || die "the image of $service at $commit"
    done
    export COMPOSE_PROFILES=dr
    compose_wipe
    compose_up || die "docker compose up"
    shipped "every shard streaming"
    PRISM_TAG=before timed "rolled back, healthy" services_up "${services[@]}"
    services_are before "${services[@]}"
    shipped "every shard streaming from the release before"
    demo_runs "demo with the services of the release before"
    if docker run --rm --entrypoint redis-server prism-dr:before --version >/dev/null 2>&1; then
        timed "drills of every shard by the release before" drilled
    else
        skipped "drills by the release before: its image of dr has no redis-server to load what they restore"
    fi
    writer_start rollback
    timed "rolled forward while it is written to" services_up "${services[@]}"
    services_are "$PRISM_TAG" "${services[@]}"
    await 120 "the topology" topology_is ok || die "the topology is $(topology_state)"
    writer_end
    shipped "every shard streaming again"
    timed "drills of what both releases shipped" drilled
    verify_ledger demo/ledger
    verify_ledger rollback
    rm -rf "$tree"
    for service in "${services[@]}"; do
        docker image rm "prism-$service:before" >/dev/null 2>&1 || true
    done
}
services_up() { quiet docker compose up -d --wait --wait-timeout 120 --no-deps --no-build "$@"; }
services_are() { # TAG SERVICE...
    local service
    for service in "${@:2}"; do
        [ "$(docker inspect -f '{{.Config.Image}}' "$(docker compose ps -q "$service")")" = "prism-$service:$1" ] ||
            die "$service does not run prism-$service:$1"
    done
}

# Built here, where nothing of it can be run but by an emulator; the image's own libraries are used.
compose_arm64() {
    local other=arm64 tree=$root/build/compose/rootfs id service
    [ "$(dpkg --print-architecture)" = amd64 ] || {
        skipped "arm64 beside amd64: this machine is not amd64"
        return
    }
    step "arm64: cross-built, its unit tests by an emulator"
    docker image inspect prism-offline/base:trixie-arm64 >/dev/null 2>&1 ||
        timed "base for arm64" quiet "$root/compose/offline/build.sh" base "$other" prism-offline/base:trixie-arm64
    timed "unit tests of common/base on arm64" compose_cross check
    for service in "${COMPOSE_SERVICES[@]}" tools; do
        compose_cross "$service" || die "the arm64 image of $service"
    done
    images_small test-arm64
    for service in "${COMPOSE_SERVICES[@]}"; do
        rm -rf "$tree"
        mkdir -p "$tree"
        id=$(docker create --platform linux/arm64 "prism-$service:test-arm64" 2>/dev/null)
        docker export "$id" | tar -x -C "$tree" usr lib etc
        docker rm "$id" >/dev/null
        qemu-aarch64-static -L "$tree" "$tree/usr/bin/prism-$service" --version >/dev/null ||
            die "prism-$service of the arm64 image does not start"
    done
    compose_rows+=("services of the arm64 images that start (qemu)" "${#COMPOSE_SERVICES[@]}")
    rm -rf "$tree"
}
compose_cross() { # TARGET
    quiet docker build --platform linux/arm64 -f "$root/compose/Dockerfile" --target "$1" --tag "prism-$1:test-arm64" \
        --build-arg BASE=prism-offline/base:trixie-arm64 --build-arg BUILD_BASE=prism-offline/base:trixie "$root"
}
