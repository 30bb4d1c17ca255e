# shellcheck shell=bash
# ./dev test: builds the trees and runs all their tests in one ctest run.
# release runs everything; asan (address and undefined behaviour) everything but
# fault and e2e; tsan what has threads. PRISM_TEST_KINDS in CMakePresets.json
# says so. clang, the other compiler, only compiles everything.

TREES=(release asan tsan)

cmd_test() {
    local all=$root/build/all tree
    ensure_packages "${PACKAGES_UP[@]}" "${PACKAGES_LINT[@]}"
    if [ $# -gt 0 ]; then
        some_tests "$@"
        return
    fi
    ensure_packages "${PACKAGES_TEST[@]}"
    step "build clang"
    build "$root" clang
    for tree in "${TREES[@]}"; do
        step "build $tree"
        build "$root" "$tree"
    done
    mkdir -p "$all"
    {
        printf '# Written by ./dev test: one run over the tests of every tree.\n'
        for tree in "${TREES[@]}"; do
            printf 'subdirs("%s")\n' "$root/build/$tree"
        done
    } >"$all/CTestTestfile.cmake"
    run_ctest "$all"
}

# A kind (unit, property, sim, integration, fault, e2e) or ctest's own options.
some_tests() {
    local args=("$@")
    step "build release"
    build "$root" release
    [[ $1 == -* ]] || args=(-L "^$1\$" "${@:2}")
    run_ctest "$root/build/release" "${args[@]}"
}

# The thread sanitizer needs a predictable address space; some containers do not
# let us ask for one, and then its own restart may do.
run_ctest() {
    local tests=$1 log rc=0 fixed=()
    shift
    log=$tests/Testing/dev-test.log
    mkdir -p "$tests/Testing"
    if setarch "$(uname -m)" -R true 2>/dev/null; then
        fixed=(setarch "$(uname -m)" -R)
    fi
    "${fixed[@]}" ctest --test-dir "$tests" --output-on-failure --no-label-summary \
        --no-tests=error -j "$(nproc)" "$@" | tee "$log" |
        sed -u -e '/tests passed, .* tests failed out of/d' -e '/^Total Test time/d' ||
        rc=${PIPESTATUS[0]}
    printf 'all tests took %d s\n' "$SECONDS"
    # The one closing line: ctest's counts.
    grep 'tests passed, .* tests failed out of' "$log" || rc=1
    return "$rc"
}
