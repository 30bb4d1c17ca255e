# shellcheck shell=bash
# Debian packages: installs what is missing, without starting anybody's daemons.

PACKAGES_UP=(gcc libc6-dev cmake ninja-build pkgconf libnats-dev libpq-dev libhiredis-dev
    libmicrohttpd-dev libgnutls28-dev librhonabwy-dev libjansson-dev libxxhash-dev libzstd-dev liblzma-dev zlib1g-dev
    libssl-dev libprotobuf-c-dev protobuf-c-compiler libcurl4-openssl-dev libexpat1-dev libcmocka-dev
    postgresql nats-server redis-server runit jq xz-utils zstd curl)
# shellcheck disable=SC2034 # used by ./dev
PACKAGES_LINT=(shellcheck clang-format)
# shellcheck disable=SC2034 # used by ./dev
PACKAGES_TEST=(clang libmetis-dev)
# What PostgreSQL is backed up with.
# shellcheck disable=SC2034 # used by ./dev
PACKAGES_DR=(pgbackrest)
# A local server that plays S3.
PACKAGES_S3=(openssl ceph-mon ceph-osd radosgw)
# Those that play AWS and Kubernetes, too (Debian's python3 has botocore, no other).
# shellcheck disable=SC2034 # used by ./dev
PACKAGES_SERVERS=(python3-botocore "${PACKAGES_S3[@]}" "${PACKAGES_DR[@]}")
# What the tests of the dashboard look at it with (driven by npm packages: tools/browser).
# shellcheck disable=SC2034 # used by ./dev
PACKAGES_BROWSER=(chromium fonts-dejavu-core)
# promtool, for rules and metrics; unzip, for helm out of the package that it comes in.
# shellcheck disable=SC2034 # used by ./dev
PACKAGES_DEPLOY=(prometheus unzip)
# shellcheck disable=SC2034 # used by ./dev
PACKAGES_FUZZ=(clang libclang-rt-dev)
# shellcheck disable=SC2034 # used by ./dev
PACKAGES_BENCH=(libmetis-dev libigraph-dev)
PACKAGES_BENCH_API=(wrk nginx-light python3 util-linux)
# shellcheck disable=SC2034 # used by ./dev
PACKAGES_ANALYSE=(clang-tidy cppcheck git)
# A Docker engine where there is none, and what the Compose stack's stand-ins are made with.
# shellcheck disable=SC2034 # used by ./dev
PACKAGES_DOCKER=(docker.io iptables)
# shellcheck disable=SC2034 # used by ./dev
PACKAGES_COMPOSE=(debootstrap qemu-user-static jq curl)

missing_packages() { # PACKAGE...
    local installed one
    installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null) || true
    for one in "$@"; do
        grep -qx "$one installed" <<<"$installed" || printf '%s\n' "$one"
    done
}

ensure_packages() { # PACKAGE...
    local missing
    [ -e /etc/debian_version ] || die "this needs Debian 12 or 13; install by hand: $*"
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    say "installing ${missing[*]}"
    if is_root; then
        install_quietly "${missing[@]}"
    elif command -v sudo >/dev/null; then
        sudo bash -c "$(declare -f say install_quietly apt_install apt_update)
            set -euo pipefail; install_quietly \"\$@\"" install "${missing[@]}"
    else
        die "as root, run: apt-get install --no-install-recommends ${missing[*]}"
    fi || die "apt-get could not install ${missing[*]}"
}

# In a subshell, so that its exit, however it comes, takes policy-rc.d away
# again. 101 tells the packages' scripts not to start their daemons: ours run on
# other ports, and the machine's owner asked for none.
install_quietly() (
    policy=/usr/sbin/policy-rc.d
    saved=
    # shellcheck disable=SC2317 # run by the trap
    restore() {
        rm -f "$policy"
        [ -z "$saved" ] || mv "$saved" "$policy"
    }
    if [ -e "$policy" ] || [ -L "$policy" ]; then
        saved=$policy.before-prism
        mv "$policy" "$saved"
    fi
    trap restore EXIT
    trap 'exit 130' INT TERM HUP
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    if ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then
        apt_update
    fi
    apt_install "$@" || {
        apt_update # the lists were too old
        apt_install "$@"
    }
)
apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        -o Dpkg::Use-Pty=0 "$@" >&2
}
apt_update() { apt-get update -q >&2; }
