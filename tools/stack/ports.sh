# shellcheck shell=bash
# Ports of one stack, a hundred from its base: +0 PostgreSQL, +1 NATS, +2 to +9 the S3
# server, +10 to +14 the services, +20... Redis nodes, +60... their cluster bus.

redis_port() { printf '%s\n' $(($1 + 20 + $2)); } # BASE NODE
redis_bus() { printf '%s\n' $(($1 + 60 + $2)); }
service_port() { # BASE SERVICE
    case $2 in
    metadata-api) printf '%s\n' $(($1 + 10)) ;;
    placement) printf '%s\n' $(($1 + 11)) ;;
    rebalance) printf '%s\n' $(($1 + 12)) ;;
    autoscale) printf '%s\n' $(($1 + 13)) ;;
    dr) printf '%s\n' $(($1 + 14)) ;;
    esac
}

all_ports() { # BASE NODES
    local n
    printf '%s %s' "$1" $(($1 + 1))
    for ((n = 0; n < $2; n++)); do
        printf ' %s %s' "$(redis_port "$1" "$n")" "$(redis_bus "$1" "$n")"
    done
}

# Below the kernel's range of outgoing ports (32768 and up): nobody gets one by
# chance. Starts at a place that differs by directory; what another has chosen is
# its own for as long as the script that asked runs, which starts the servers.
free_base() ( # DIR NODES
    chosen=${TMPDIR:-/tmp}/prism-ports-$UID
    mkdir -m 700 "$chosen" 2>/dev/null || true
    { [ -O "$chosen" ] && [ ! -L "$chosen" ]; } || die "$chosen is not ours"
    exec 8>"$chosen/lock"
    flock 8
    first=$(($(printf '%s' "$1" | cksum | cut -d' ' -f1) % 90))
    for ((try = 0; try < 90; try++)); do
        base=$((22000 + (first + try) % 90 * 100))
        by=$(cat "$chosen/$base" 2>/dev/null) || true
        if [ -n "$by" ] && [ "$by" != $$ ] && kill -0 "$by" 2>/dev/null; then
            continue
        fi
        read -r -a ports <<<"$(all_ports "$base" "$2")"
        if ! first_taken "${ports[@]}" >/dev/null; then
            printf '%s\n' $$ >"$chosen/$base"
            printf '%s\n' "$base"
            return 0
        fi
    done
    die "no 100 free ports between 22000 and 31000"
)
