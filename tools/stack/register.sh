# shellcheck shell=bash
# Zones, and which Redis node stands in which: the cluster itself cannot tell. Who sources this has
# common.sh and a function prismctl that reaches the API as an administrator.

nodes_register() { # "ZONE ..."; on standard input a line "ID HOST PORT ZONE" for each node
    local zone id host port known
    known=$(prismctl -o json zone list | jq -r '.items[].id') || die "prismctl zone list failed"
    for zone in $1; do
        grep -qx "$zone" <<<"$known" || prismctl zone create "$zone" >/dev/null ||
            die "cannot create zone $zone"
    done
    known=$(prismctl -o json node list | jq -r '.items[].id') || die "prismctl node list failed"
    while read -r id host port zone; do
        grep -qx "$id" <<<"$known" ||
            prismctl node register "$id" "$host" "$port" --zone "$zone" >/dev/null ||
            die "cannot register $id"
    done
}

# Once rebalance has seen the cluster and metadata-api has heard of it.
topology_ok() { [ "$(prismctl -o json topology 2>/dev/null | jq -r .state)" = ok ]; }
topology_says() { prismctl -o json topology | jq -c '[.state, .reasons]'; }
