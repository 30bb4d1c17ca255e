# shellcheck shell=bash
# Builds with CMake and ninja.

# shellcheck disable=SC2034 # used by ./dev
PROGRAMS=(prism-placement prism-rebalance prism-autoscale prism-metadata-api prismctl prism-admin prism-load
    prism-workload)

# build ROOT PRESET TARGET...: configures when needed; quick when nothing changed.
build() {
    local root=$1 preset=$2
    shift 2
    configure "$root" "$preset"
    ninja -C "$root/build/$preset" --quiet "$@" >&2 || die "the build of $preset failed: see above"
}

# Afterwards the tree's list of tests is that of the sources, though nothing is built.
configure() { # ROOT PRESET
    local root=$1 preset=$2 tree=$1/build/$2 launcher=() command
    if command -v ccache >/dev/null; then
        launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
    fi
    command=(ninja -C "$tree" --quiet build.ninja)
    [ -e "$tree/build.ninja" ] || command=(cmake --preset "$preset" "${launcher[@]}")
    mkdir -p "$tree"
    (cd "$root" && "${command[@]}") >"$tree/configure.log" 2>&1 || {
        cat "$tree/configure.log" >&2
        die "cmake --preset $preset failed"
    }
}
