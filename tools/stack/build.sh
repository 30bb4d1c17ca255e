# shellcheck shell=bash
# Builds with CMake and ninja.

# shellcheck disable=SC2034 # used by ./dev
PROGRAMS=(prism-placement prism-rebalance prism-autoscale prism-metadata-api prismctl prism-admin prism-load
    prism-workload)

# build PRESET TARGET...: configures when needed; quick when nothing changed.
build() {
    local root=$1 preset=$2 launcher=()
    shift 2
    if command -v ccache >/dev/null; then
        launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
    fi
    if [ ! -e "$root/build/$preset/build.ninja" ]; then
        mkdir -p "$root/build/$preset"
        (cd "$root" && cmake --preset "$preset" "${launcher[@]}") \
            >"$root/build/$preset/configure.log" 2>&1 || {
            cat "$root/build/$preset/configure.log" >&2
            die "cmake --preset $preset failed"
        }
    fi
    ninja -C "$root/build/$preset" --quiet "$@" >&2 || die "the build of $preset failed: see above"
}
