# shellcheck shell=bash
# A Redis Cluster made of nodes that run already. What a node's address is, is the caller's, who
# defines `node_cli ADDRESS ARGS...` (redis-cli as the admin user; commands on stdin without ARGS)
# and `node_meet ADDRESS` (prints what CLUSTER MEET takes). Who sources this also has common.sh.

node_ok() { # ADDRESS: runs the commands on stdin; all must answer OK
    local out
    out=$(node_cli "$1") || return 1
    if grep -qvx -e OK -e '' <<<"$out"; then
        say "Redis node $1 answered: $(grep -vx -e OK -e '' <<<"$out" | head -n 1)"
        return 1
    fi
}

cluster_met() { # ADDRESS...: every node knows every node
    local address list
    for address in "$@"; do
        list=$(node_cli "$address" cluster nodes) || return 1
        [ "$(grep -c . <<<"$list")" -eq $# ] || return 1
        ! grep -qE 'handshake|noaddr' <<<"$list" || return 1
    done
}

# Every node says ok, and every primary that has slots has its replicas in step.
cluster_healthy() { # REPLICAS ADDRESS...
    local replicas=$1 address info
    shift
    for address in "$@"; do
        info=$(node_cli "$address" 2>/dev/null <<<$'cluster info\ninfo replication\ncluster nodes') || return 1
        grep -q 'cluster_state:ok' <<<"$info" || return 1
        grep -q 'cluster_slots_ok:16384' <<<"$info" || return 1
        if grep -q 'role:master' <<<"$info"; then
            ! awk '$3 ~ /myself/ && NF > 8 { exit 1 }' <<<"$info" || continue
            [ "$(grep -c 'state=online' <<<"$info")" -ge "$replicas" ] || return 1
        else
            grep -q 'master_link_status:up' <<<"$info" || return 1
        fi
    done
}

# cluster_create SHARDS ADDRESS...: like redis-cli --cluster create, but without its fixed pauses,
# and the replicas are where the caller says: the first SHARDS become primaries, then come a replica
# of each in the same order, and so on.
cluster_create() {
    local shards=$1 all=("${@:2}") n i
    for ((n = 0; n < ${#all[@]}; n++)); do
        {
            echo "cluster set-config-epoch $((n + 1))"
            [ "$n" -ge "$shards" ] || echo "cluster addslotsrange" \
                "$((n * 16384 / shards)) $(((n + 1) * 16384 / shards - 1))"
        } | node_ok "${all[n]}" || return 1
    done
    for ((n = 0; n < ${#all[@]}; n++)); do
        for ((i = n + 1; i < ${#all[@]}; i++)); do # all pairs: gossip alone takes seconds
            echo "cluster meet $(node_meet "${all[i]}")"
        done | node_ok "${all[n]}" || return 1
    done
    await 20 "the Redis nodes to meet" cluster_met "${all[@]}" || return 1
    for ((n = shards; n < ${#all[@]}; n++)); do
        i=$(node_cli "${all[n % shards]}" cluster myid)
        echo "cluster replicate $i" | node_ok "${all[n]}" || return 1
    done
}
