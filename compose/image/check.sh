#!/usr/bin/env bash
# check.sh BUILDARCH TARGETARCH: every program starts, dr's redis-server too, and the unit tests of common/base pass, as they
# will run: under qemu where the architecture is another one's.
# shellcheck source=compose/image/arch.sh
. "$(dirname "${BASH_SOURCE[0]}")/arch.sh"

run=()
if [ "$1" != "$2" ]; then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends qemu-user
    run=("qemu-$(gnu_of "$2")")
fi
export CCACHE_DIR=/ccache
for program in "${PROGRAMS[@]}"; do
    "${run[@]}" "/out/bin/$program" --help >/dev/null
    printf '%s starts on %s\n' "$program" "$2"
done
cp "/usr/bin/$SERVER_PROGRAM" /tmp/redis-server
"${run[@]}" /tmp/redis-server --version
read -r -a tests <<<"$(sed -n 's/^foreach(name \(.*\))$/\1/p' /src/tests/unit/base.cmake)"
ninja -C /build "${tests[@]/#/test_unit_}"
for name in "${tests[@]}"; do
    "${run[@]}" "/build/tests/test_unit_$name"
done
printf 'unit tests of common/base pass on %s: %s\n' "$2" "${#tests[@]}"
