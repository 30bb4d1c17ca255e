#!/usr/bin/env bash
# toolchain.sh BUILDARCH TARGETARCH: the compiler for TARGETARCH and its libraries, in an image
# of BUILDARCH. The list of libraries is ./dev's own.
# shellcheck source=compose/image/arch.sh
. "$(dirname "${BASH_SOURCE[0]}")/arch.sh"
# shellcheck source=tools/stack/packages.sh
. "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

target=$2
compiler=(gcc)
libraries=()
for package in "${PACKAGES_UP[@]}"; do
    case $package in
    libc6-dev) ;;
    *-dev) libraries+=("$package:$target") ;;
    esac
done
if [ "$1" != "$target" ]; then
    dpkg --add-architecture "$target"
    compiler=("gcc-$(gnu_of "$target" | tr _ -)-linux-gnu")
fi
# What the base has of itself: the final images have that anyway.
dpkg-query -W -f '${Package}\n' | sort -u >/image/base-packages
rm -f /etc/apt/apt.conf.d/docker-clean # what is fetched stays in the cache
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q --no-install-recommends "${compiler[@]}" "libc6-dev:$target" cmake ninja-build ccache \
    pkgconf protobuf-c-compiler binutils ca-certificates "${libraries[@]}" "libjq1:$target" "$SERVER:$target"
mkdir -p /image/extra
cd /image/extra
apt-get download -q "${EXTRA[@]/%/:$target}"
for package in ./*.deb; do
    dpkg-deb -x "$package" .
done
