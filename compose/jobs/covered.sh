#!/bin/bash
# covered.sh ZONE: whether every node outside ZONE has all slots served, none of them by a node of ZONE.
set -euo pipefail
# shellcheck source=tools/stack/common.sh
. /usr/share/prism/tools/stack/common.sh
# shellcheck source=compose/jobs/nodes.sh
. /usr/share/prism/jobs/nodes.sh

gone=$(nodes_lines | awk -v zone="$1" '$4 == zone { printf "%s:%s ", $2, $3 }')
while read -r _ host port zone; do
    [ "$zone" != "$1" ] || continue
    info=$(node_cli "$host:$port" <<<$'cluster info\ncluster nodes')
    grep -q 'cluster_slots_ok:16384' <<<"$info"
    awk -v gone="$gone" '$3 ~ /master/ && NF > 8 { split($2, a, "@"); if (index(gone, a[1] " ")) exit 1 }' <<<"$info"
done < <(nodes_lines)
