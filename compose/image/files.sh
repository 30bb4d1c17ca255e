#!/usr/bin/env bash
# files.sh TARGETARCH: what the images have beside the programs, in /files: the libraries that
# those need and the base has not, with the packages they are of (var/lib/dpkg/status.d, where
# scanners look), certificates to trust, and dr's redis-server.
# shellcheck source=compose/image/arch.sh
. "$(dirname "${BASH_SOURCE[0]}")/arch.sh"

target=$1
triplet=$(triplet_of "$target")

package_of() { # FILE
    dpkg -S "*/$triplet/$1" | sed -n 's/:.*//p' | head -n 1
}
record() { # INTO PACKAGE[:ARCH]
    mkdir -p "$1/var/lib/dpkg/status.d"
    dpkg-query -s "$2" >"$1/var/lib/dpkg/status.d/${2%:*}"
}

# libraries INTO LESS FILE...: what FILEs need, and what that needs, unless the base or LESS has it.
libraries() {
    local into=$1 less=$2 file name package todo=("${@:3}")
    local -A seen=()
    mkdir -p "$into/usr/lib/$triplet"
    while [ "${#todo[@]}" -gt 0 ]; do
        file=${todo[0]}
        todo=("${todo[@]:1}")
        for name in $("$triplet-readelf" -d "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
            [ -z "${seen[$name]:-}" ] || continue
            seen[$name]=yes
            package=$(package_of "$name")
            if [ -z "$package" ]; then
                printf '%s needs %s, which no package has\n' "$file" "$name" >&2
                exit 1
            fi
            ! grep -qx "$package" /image/base-packages || continue
            [ ! -e "$less/usr/lib/$triplet/$name" ] || continue
            cp -L "/usr/lib/$triplet/$name" "$into/usr/lib/$triplet/"
            record "$into" "$package:$target"
            todo+=("/usr/lib/$triplet/$name")
        done
    done
}

mkdir -p /files/service/etc/ssl/certs /files/tools/usr/bin /files/dr/usr/bin /files/state /files/none
cp -L /etc/ssl/certs/ca-certificates.crt /files/service/etc/ssl/certs/
record /files/service ca-certificates
libraries /files/service /files/none /out/bin/*
for program in "${EXTRA_PROGRAMS[@]}"; do
    cp "/image/extra/usr/bin/$program" /files/tools/usr/bin/
done
libraries /files/tools /files/service /files/tools/usr/bin/*
cp "/usr/bin/$SERVER_PROGRAM" /files/dr/usr/bin/redis-server
record /files/dr "$SERVER:$target"
libraries /files/dr /files/service /files/dr/usr/bin/redis-server
