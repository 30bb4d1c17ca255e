#!/usr/bin/env bash
# build.sh TARGETARCH: /src into /build; the programs, stripped, into /out/bin.
# shellcheck source=compose/image/arch.sh
. "$(dirname "${BASH_SOURCE[0]}")/arch.sh"

triplet=$(triplet_of "$1")
export CCACHE_DIR=/ccache PKG_CONFIG_LIBDIR=/usr/lib/$triplet/pkgconfig:/usr/share/pkgconfig
# As the preset "release"; a library that newly warns of itself must not stop an image.
cmake -S /src -B /build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DPRISM_WERROR=OFF -DCMAKE_SYSTEM_NAME=Linux \
    "-DCMAKE_SYSTEM_PROCESSOR=$(gnu_of "$1")" "-DCMAKE_C_COMPILER=$triplet-gcc" \
    -DCMAKE_C_COMPILER_LAUNCHER=ccache
ninja -C /build "${PROGRAMS[@]}"
mkdir -p /out/bin
for program in "${PROGRAMS[@]}"; do
    install -m 0755 -s --strip-program="$triplet-strip" "/build/bin/$program" /out/bin/
done
