#!/bin/bash
# Makes the Redis Cluster of PRISM_NODES, once. Killed half-way, it begins anew the next time; a
# cluster that is in use is never touched, however it looks.
set -euo pipefail
# shellcheck source=tools/stack/common.sh
. /usr/share/prism/tools/stack/common.sh
# shellcheck source=tools/stack/cluster.sh
. /usr/share/prism/tools/stack/cluster.sh
# shellcheck source=compose/jobs/nodes.sh
. /usr/share/prism/jobs/nodes.sh

mapfile -t nodes < <(nodes_lines | awk '{ print $2 ":" $3 }')
replicas=$((${#nodes[@]} / PRISM_SHARDS - 1))

answer() {
    local node
    for node in "${nodes[@]}"; do
        [ "$(node_cli "$node" ping 2>/dev/null)" = PONG ] || return 1
    done
}
# As the first node that answers has it, whoever is down: all are known, the slots are given away, and
# nobody is left without a part.
made() {
    local node list
    for node in "${nodes[@]}"; do
        list=$(node_cli "$node" cluster nodes 2>/dev/null) || continue
        awk -v want="${#nodes[@]}" '
            { all++ }
            $3 ~ /slave/ { used++ }
            $3 ~ /master/ && NF > 8 { used++; for (i = 9; i <= NF; i++) if ($i !~ /^\[/) {
                split($i, range, "-"); slots += (2 in range && range[2] != "" ? range[2] : range[1]) - range[1] + 1
                delete range } }
            END { exit !(all == want && used == want && slots == 16384) }' <<<"$list"
        return
    done
    return 1
}

# What comes after the making: the function library, then keys.
in_use() {
    local node
    for node in "${nodes[@]}"; do
        [ "$(node_cli "$node" dbsize 2>/dev/null || echo 0)" = 0 ] || return 0
        [ -z "$(node_cli "$node" function list 2>/dev/null)" ] || return 0
    done
    return 1
}

await 90 "the Redis nodes to answer" answer || say "some Redis nodes do not answer"
if ! made && ! in_use; then
    answer || die "the cluster is not made yet, and not all its nodes answer"
    for node in "${nodes[@]}"; do
        echo "cluster reset hard" | node_ok "$node" || die "cannot reset $node"
    done
    cluster_create "$PRISM_SHARDS" "${nodes[@]}" || die "cannot make the cluster"
    say "made a cluster of ${#nodes[@]} nodes"
fi
await 60 "every slot served and every replica in step" cluster_healthy "$replicas" "${nodes[@]}" ||
    say "the cluster is not whole: going on without"
