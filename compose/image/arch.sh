# shellcheck shell=bash disable=SC2034 # used by who sources it
# What an architecture of Docker's is called elsewhere.
set -euo pipefail

gnu_of() { # TARGETARCH
    case $1 in
    amd64) printf 'x86_64' ;;
    arm64) printf 'aarch64' ;;
    *)
        printf 'no build for %s: amd64 or arm64\n' "$1" >&2
        exit 1
        ;;
    esac
}
triplet_of() { printf '%s-linux-gnu\n' "$(gnu_of "$1")"; }
# ./dev's programs, and dr.
PROGRAMS=(prism-metadata-api prism-placement prism-rebalance prism-autoscale prism-dr
    prismctl prism-admin prism-load prism-workload)
# Of Debian, in the tools' image: packages, and what of them.
EXTRA=(jq curl xz-utils)
EXTRA_PROGRAMS=(jq curl xz)
# Of Debian, in dr's image: the server that it loads what it restores in. It is the program of redis-tools by another name
# (Debian's redis-server is a link to it), by which it knows what to do.
SERVER=redis-tools
SERVER_PROGRAM=redis-check-rdb
