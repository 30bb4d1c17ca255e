# shellcheck shell=bash
# The nodes of PRISM_NODES (ID=HOST:PORT=ZONE ...), for the jobs. Who sources this has common.sh.

nodes_lines() { # ID HOST PORT ZONE
    tr -s ' ' '\n' <<<"$PRISM_NODES" | sed -n 's/^\([^=]*\)=\(.*\):\([0-9]*\)=\(.*\)$/\1 \2 \3 \4/p'
}
nodes_zoned() { # host:port=zone,...
    nodes_lines | awk '{ printf "%s%s:%s=%s", (NR > 1 ? "," : ""), $2, $3, $4 } END { print "" }'
}

# As cluster.sh of ./dev asks for them: a node's address is HOST:PORT.
node_cli() {
    REDISCLI_AUTH=$(secret /run redis-admin) redis-cli --no-auth-warning --user admin \
        -h "${1%:*}" -p "${1#*:}" "${@:2}"
}
# shellcheck disable=SC2317 # cluster_create calls it
node_meet() { printf '%s %s\n' "${1%:*}" "${1#*:}"; }
