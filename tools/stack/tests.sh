# shellcheck shell=bash
# ./dev test: builds the trees and runs all their tests in one ctest run.
# release runs everything; asan (address and undefined behaviour) everything but
# fault and e2e; tsan what has threads. PRISM_TEST_KINDS in CMakePresets.json
# says so. clang, the other compiler, only compiles everything. Tests with servers
# mostly wait; meanwhile the trees after release are built.

TREES=(release asan tsan)
SERVER_TESTS=3 # at a time

cmd_test() {
    local all=$root/build/all tree later=(asan tsan clang)
    if [ "${1:-}" = compose ]; then
        compose_test "${@:2}"
        return
    fi
    ensure_packages "${PACKAGES_UP[@]}" "${PACKAGES_LINT[@]}" "${PACKAGES_SERVERS[@]}" \
        "${PACKAGES_BROWSER[@]}" "${PACKAGES_DEPLOY[@]}"
    if [ $# -eq 2 ] && [ "$1" = fuzz ] && [[ $2 =~ ^[1-9][0-9]*$ ]]; then
        fuzz "$2"
        return
    fi
    if [ $# -eq 1 ] && [ "$1" = slow ]; then
        step "build release"
        build "$root" release
        run_ctest "$root/build/release" -C slow -L '^slow$'
        return
    fi
    if [ $# -gt 0 ]; then
        some_tests "$@"
        return
    fi
    ensure_packages "${PACKAGES_TEST[@]}"
    for tree in "${later[@]}"; do
        configure "$root" "$tree"
    done
    step "build release"
    build "$root" release
    mkdir -p "$all"
    {
        printf '# Written by ./dev test: one run over the tests of every tree.\n'
        printf 'subdirs("%s")\n' "${TREES[@]/#/$root/build/}"
        for tree in "${later[@]}"; do
            build_test "$tree"
        done
    } >"$all/CTestTestfile.cmake"
    run_ctest "$all" --repeat until-pass:2
}

# With servers, on a machine that does other things too, a test may run out of time: it gets a second
# try, and that is told, because one that needs it often is wrong. What decides, what is computed, what
# may never be lost, who is let in and what a sanitizer finds gets none.
second_tries() { # LOG
    local name strict=0
    while read -r name; do
        printf 'SECOND TRY: %s failed first (its output is above), then passed\n' "$name" >&2
        [[ $name =~ ^((asan|tsan)\.)?(integration|e2e|fixture)\. ]] &&
            [[ ! $name =~ integration\.(api_(fuzz|jwt|matrix|tls|tokens)|http_tls|privilege)$ ]] || strict=1
        ! grep -q 'Sanitizer:' "$1" || strict=1
    done < <(awk '/Test +#[0-9]+: / { name = $0; sub(/.*Test +#[0-9]+: /, "", name); sub(/ .*/, "", name)
             if (/ Passed /) passed[name] = 1; else if (/\*\*\*/ && !/Skipped/) failed[name] = 1 }
             END { for (name in failed) if (name in passed) print name }' "$1")
    [ "$strict" -eq 0 ] || printf 'dev: a test that gets no second try failed once\n' >&2
    return "$strict"
}

# What tests that strike again and again say last: ctest shows nothing of one that passed.
closing_counts() { # LOG
    [ ! -r "$1" ] || awk '/^[0-9]+\/[0-9]+ Testing: / { name = $3 }
        /^[0-9]+ faults: / || / writes acknowledged, [0-9]+ lost$/ { last[name] = $0 }
        END { for (name in last) printf "%s: %s\n", name, last[name] }' "$1" | sort
}

# A build as a test, which the tests of that tree need as their fixture.
build_test() { # TREE
    local command
    command=$(printf ' "%s"' nice -n 10 ninja -C "$root/build/$1" -j "$(nproc)" --quiet)
    printf 'add_test(build.%s%s)\n' "$1" "$command"
    printf 'set_tests_properties(build.%s PROPERTIES FIXTURES_SETUP %s.built %s)\n' "$1" "$1" \
        'TIMEOUT 2400 COST 2400 RESOURCE_GROUPS cpus:1'
}

# Every fuzzer that many seconds, from the kept inputs and what earlier runs found
# worth keeping. An input that breaks one stays in build/fuzz: mend the code, then
# keep it in tests/fuzz/corpus, which the other trees replay.
fuzz() {
    local seconds=$1 tree=$root/build/fuzz name broken=()
    ensure_packages "${PACKAGES_FUZZ[@]}"
    step "build fuzz"
    build "$root" fuzz
    for name in "$root"/tests/fuzz/corpus/*; do
        name=${name##*/}
        step "fuzz $name for $seconds s"
        mkdir -p "$tree/corpus/$name"
        "$tree/bin/fuzz_$name" -max_total_time="$seconds" -max_len=4096 -timeout=20 \
            -rss_limit_mb=3000 -artifact_prefix="$tree/$name-" \
            "$tree/corpus/$name" "$root/tests/fuzz/corpus/$name" >"$tree/$name.log" 2>&1 || {
            broken+=("$name")
            tail -n 40 "$tree/$name.log" >&2
        }
        grep -a '^Done ' "$tree/$name.log" >&2 || true
    done
    [ ${#broken[@]} -eq 0 ] || die "broken: ${broken[*]} (inputs: $tree/NAME-*)"
}

# A kind (unit, property, sim, integration, fault, e2e, fuzz) or ctest's own options. Who asks for
# faults gets the long runs, too (CONFIGURATIONS fault).
some_tests() {
    local args=("$@")
    step "build release"
    build "$root" release
    [[ $1 == -* ]] || args=(-L "^$1\$" "${@:2}")
    [ "$1" != fault ] || args+=(-C fault)
    run_ctest "$root/build/release" "${args[@]}"
}

# The thread sanitizer needs a predictable address space; some containers do not
# let us ask for one, and then its own restart may do.
run_ctest() {
    local tests=$1 log cpus rc=0 fixed=()
    shift
    cpus=$(nproc)
    log=$tests/Testing/dev-test.log
    mkdir -p "$tests/Testing"
    if setarch "$(uname -m)" -R true 2>/dev/null; then
        fixed=(setarch "$(uname -m)" -R)
    fi
    printf '{"version": {"major": 1, "minor": 0}, "local": [{
        "cpus": [{"id": "0", "slots": %d}], "servers": [{"id": "0", "slots": %d}]}]}\n' \
        "$cpus" "$SERVER_TESTS" >"$tests/Testing/resources.json"
    "${fixed[@]}" ctest --test-dir "$tests" --output-on-failure --no-label-summary \
        --no-tests=error -j $((cpus + SERVER_TESTS)) \
        --resource-spec-file "$tests/Testing/resources.json" "$@" | tee "$log" |
        sed -u -e '/tests passed, .* tests failed out of/d' -e '/^Total Test time/d' ||
        rc=${PIPESTATUS[0]}
    printf 'all tests took %d s\n' "$SECONDS"
    closing_counts "$tests/Testing/Temporary/LastTest.log"
    second_tries "$log" || rc=1
    # The one closing line: ctest's counts.
    grep 'tests passed, .* tests failed out of' "$log" || rc=1
    return "$rc"
}
