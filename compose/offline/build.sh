#!/usr/bin/env bash
# build.sh [--fresh]: images for the Compose stack on a machine that reaches no registry, from Debian
# packages alone: a base to build on (like debian:trixie-slim), and what plays nats, postgres,
# redis, prometheus and dbmate. docker-compose.yml beside this file says to use them.
# build.sh base ARCH [TAG]: the base alone, of another architecture: files to copy into, nothing of
# it is run.
# As root. What is there stays; --fresh makes all of it anew.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=tools/stack/common.sh
. "$root/tools/stack/common.sh"
# shellcheck source=tools/stack/mirror.sh
. "$root/tools/stack/mirror.sh"

SUITE=trixie
DBMATE=2.36.0
STANDINS=(nats postgres redis prometheus dbmate)
tag() { printf 'prism-offline/%s:%s\n' "$1" "$SUITE"; }
have() { docker image inspect "$1" >/dev/null 2>&1; }

base() { # ARCH TAG
    local tree own
    own=$(dpkg --print-architecture)
    tree=$(mktemp -d)
    # shellcheck disable=SC2064 # this directory, now
    trap "rm -rf '$tree'" EXIT
    if [ "$1" = "$own" ]; then
        debootstrap --variant=minbase "$SUITE" "$tree" "$(mirror)" >"$tree.log"
    else # unpacked, not set up: its programs do not run here
        debootstrap --variant=minbase --arch="$1" --foreign "$SUITE" "$tree" "$(mirror)" >"$tree.log"
        rm -rf "$tree/debootstrap"
    fi || die "debootstrap failed: see $tree.log"
    sources >"$tree/etc/apt/sources.list"
    slim "$tree"
    load_image "$1" "$tree" "$2"
    rm -rf "$tree" "$tree.log"
    trap - EXIT
}

# An image of one layer. Not by `docker import --platform`: Docker 20.10 takes that for its own
# architecture when a newer client says so, and then finds no image to build the other one's from.
load_image() ( # ARCH TREE TAG
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
    tar -C "$2" --numeric-owner -cf "$dir/layer.tar" .
    printf '{"architecture": "%s", "os": "linux", "created": "%s", "config": {"Cmd": ["bash"]}, "rootfs": {"type": "layers", "diff_ids": ["sha256:%s"]}}' \
        "$1" "$(date -u +%FT%TZ)" "$(sha256sum <"$dir/layer.tar" | cut -d' ' -f1)" >"$dir/config.json"
    printf '[{"Config": "config.json", "RepoTags": ["%s"], "Layers": ["layer.tar"]}]' "$3" >"$dir/manifest.json"
    tar -C "$dir" -c manifest.json config.json layer.tar | docker load --quiet >/dev/null
)

sources() {
    local security
    printf 'deb %s %s main\n' "$(mirror)" "$SUITE" "$(mirror)" "$SUITE-updates"
    security=$(security_mirror)
    [ -z "$security" ] || printf 'deb %s %s-security main\n' "$security" "$SUITE"
}

# As the public image: without what nobody reads in a container, now and after every apt-get.
slim() { # TREE
    local gone what='doc man info locale lintian linda groff bug'
    rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/cache/debconf/*-old "$1"/var/log/*.log
    for gone in $what; do
        rm -rf "${1:?}/usr/share/$gone"
        printf 'path-exclude /usr/share/%s/*\n' "$gone"
    done >"$1/etc/dpkg/dpkg.cfg.d/slim"
    printf 'APT::Install-Recommends "0";\nAcquire::Languages "none";\n' >"$1/etc/apt/apt.conf.d/slim"
    printf 'force-unsafe-io\n' >"$1/etc/dpkg/dpkg.cfg.d/unsafe-io"
    printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
    chmod 755 "$1/usr/sbin/policy-rc.d"
}

# dbmate is not in Debian; npm has its program.
fetch_dbmate() { # INTO
    (cd "$1" && npm pack --silent "@dbmate/linux-x64@$DBMATE" >/dev/null &&
        tar -xzf dbmate-linux-x64-"$DBMATE".tgz package/bin/dbmate &&
        install -m 0755 package/bin/dbmate dbmate) || die "npm could not fetch dbmate"
}

standins() {
    local name context
    context=$(mktemp -d)
    # shellcheck disable=SC2064 # this directory, now
    trap "rm -rf '$context'" EXIT
    cp -r "$here/standins/." "$context/"
    fetch_dbmate "$context"
    for name in "${STANDINS[@]}"; do
        DOCKER_BUILDKIT=1 docker build --quiet --build-arg "BASE=$(tag base)" --target "$name" \
            --tag "$(tag "$name")" "$context" >/dev/null || die "cannot build $name"
        say "$(tag "$name")"
    done
}

fresh=no
case ${1:-} in
base)
    base "${2:?base needs an architecture}" "${3:-$(tag base)-$2}"
    exit
    ;;
--fresh) fresh=yes ;;
'') ;;
*) die "usage: build.sh [--fresh | base ARCH [TAG]]" ;;
esac
is_root || die "debootstrap needs root"
if [ "$fresh" = yes ] || ! have "$(tag base)"; then
    say "base from $SUITE"
    base "$(dpkg --print-architecture)" "$(tag base)"
fi
standins
