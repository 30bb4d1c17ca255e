#!/usr/bin/env bash
# What `./dev node` is to the local actuator, without servers: a node is a file in FAKE_NODES.
# (node-PORT: its zone, and "member" while it is one of the cluster). FAKE_NODES/slow: an order
# takes a while after its effect; FAKE_NODES/refuse: it is refused; FAKE_NODES/mute: the next question
# is not answered; FAKE_NODES/service: the pid of
# who gives orders: killed once at each point of each order, which is carried out all the same.
set -euo pipefail
dir=${FAKE_NODES:?}
point() { # NAME
    [ -e "$dir/service" ] && [ ! -e "$dir/struck-$1" ] || return 0
    local pid
    pid=$(<"$dir/service")
    case $(cut -d' ' -f3 "/proc/$pid/stat" 2>/dev/null) in
    '' | Z) return 0 ;; # dead already: these are the orders of somebody who is no more
    esac
    : >"$dir/struck-$1"
    kill -9 "$pid"
    sleep 0.3
}
case ${1:-} in
list)
    [ ! -e "$dir/mute" ] || {
        rm "$dir/mute"
        echo mute >>"$dir/log"
        exit 1
    }
    for file in "$dir"/node-*; do
        [ -e "$file" ] || continue
        read -r zone in <"$file"
        printf '%s 127.0.0.1:%d %s up %s\n' "$(basename "$file")" "${file##*-}" "$zone" "${in:-outside}"
    done
    ;;
add)
    [ ! -e "$dir/refuse" ] || {
        echo "no capacity left in zone $3" >&2
        exit 1
    }
    point add-before
    n=$(($(cat "$dir/last" 2>/dev/null || echo 7000) + 1))
    echo "$n" >"$dir/last"
    echo "$3" >"$dir/node-$n.new"
    mv "$dir/node-$n.new" "$dir/node-$n"
    echo "add node-$n $3" >>"$dir/log"
    point add-after
    [ ! -e "$dir/slow" ] || sleep 0.4
    ;;
remove)
    point remove-before
    ! grep -q member "$dir/$2" || {
        echo "violation: $2 is in the cluster" >>"$dir/log"
        exit 1
    }
    rm "$dir/$2"
    echo "remove $2" >>"$dir/log"
    point remove-after
    [ ! -e "$dir/slow" ] || sleep 0.4
    ;;
*) exit 2 ;;
esac
