# shellcheck shell=bash
# ./dev bench placement: the engine against METIS and igraph. Uses ./dev's root.

cmd_bench() {
    case ${1:-} in
    placement)
        shift
        bench_placement "$@"
        ;;
    *) die "bench: what? ./dev bench placement [--help]" ;;
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
