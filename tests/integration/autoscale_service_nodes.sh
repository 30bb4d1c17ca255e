#!/usr/bin/env bash
# What `./dev node` is to the local actuator, without servers: a node is a file in FAKE_NODES.
# FAKE_NODES/slow: an order takes a while after its effect; FAKE_NODES/refuse: it is refused.
set -euo pipefail
dir=${FAKE_NODES:?}
case ${1:-} in
list)
    for file in "$dir"/node-*; do
        [ ! -e "$file" ] || printf '%s 127.0.0.1:%d %s up outside\n' "$(basename "$file")" \
            "${file##*-}" "$(<"$file")"
    done
    ;;
add)
    [ ! -e "$dir/refuse" ] || {
        echo "no capacity left in zone $3" >&2
        exit 1
    }
    n=$(($(cat "$dir/last" 2>/dev/null || echo 7000) + 1))
    echo "$n" >"$dir/last"
    echo "$3" >"$dir/node-$n.new"
    mv "$dir/node-$n.new" "$dir/node-$n"
    echo "add node-$n $3" >>"$dir/log"
    [ ! -e "$dir/slow" ] || sleep 0.4
    ;;
remove)
    rm "$dir/$2"
    echo "remove $2" >>"$dir/log"
    [ ! -e "$dir/slow" ] || sleep 0.4
    ;;
*) exit 2 ;;
esac
