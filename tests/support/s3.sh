#!/usr/bin/env bash
# s3.sh up DIR [PORT] | down DIR: an S3 server for tests in DIR (tools/stack/s3.sh says what it is),
# always a new one, all in memory: 320 MB and what is put there. Without PORT, on free ports below
# the kernel's outgoing range. What it wrote in DIR/env says how to reach it. `down` stops only what
# this `up` started.
set -euo pipefail
umask 077
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=tools/stack/common.sh
. "$root/tools/stack/common.sh"
# shellcheck source=tools/stack/s3.sh
. "$root/tools/stack/s3.sh"

usage() { die "up DIR [PORT], or down DIR"; }

# By its directory, so that two servers that start at once do not choose the same.
choose_port() { # DIR
    local first try port
    first=$(($(printf '%s' "$1" | cksum | cut -d' ' -f1) % 200))
    for ((try = 0; try < 200; try++)); do
        port=$((18000 + (first + try) % 200 * S3_PORTS))
        if ! first_taken $(seq "$port" $((port + S3_PORTS - 1))) >/dev/null; then
            printf '%s\n' "$port"
            return
        fi
    done
    die "no $S3_PORTS free ports between 18000 and 19600"
}

# In the foreground under setsid, so that its pid is known before it does anything.
spawn() { # DIR NAME COMMAND...
    local dir=$1 name=$2
    shift 2
    setsid "$@" -f >"$dir/log/$name.out" 2>&1 </dev/null &
    printf '%s\n' "$!" >"$dir/run/$name.ours"
}

up() {
    local dir=$1 port=${2:-}
    mkdir -p "$dir"
    dir=$(readlink -f "$dir")
    down "$dir"
    [ -e "$dir/ceph.conf" ] || [ -z "$(ls -A "$dir")" ] || die "$dir is not empty and not an S3 server's"
    rm -f "$dir/made" # a new one
    [ -n "$port" ] || port=$(choose_port "$dir")
    s3_start "$dir" "$port" memory spawn true
    s3_env "$dir" "$port" >"$dir/env.new"
    mv "$dir/env.new" "$dir/env"
}

# A pid counts as ours only while it runs with our configuration.
ours() { # PID
    [ -r "/proc/$1/cmdline" ] && tr '\0' '\n' <"/proc/$1/cmdline" 2>/dev/null | grep -qxF "$dir/ceph.conf"
}
down() {
    local dir file pid
    [ -d "$1" ] || return 0
    dir=$(readlink -f "$1")
    # It holds nothing that anybody wants: no time for a clean end.
    for file in "$dir"/run/*.ours; do
        [ -e "$file" ] || continue
        pid=$(<"$file")
        ours "$pid" && kill -KILL "$pid"
    done
    for file in "$dir"/run/*.ours; do
        [ -e "$file" ] || continue
        pid=$(<"$file")
        await 10 "process $pid to end" not_ours "$pid"
        rm "$file"
    done
}
not_ours() { ! ours "$1"; }

[ $# -ge 2 ] || usage
case $1 in
up) up "$2" "${3:-}" ;;
down) down "$2" ;;
*) usage ;;
esac
