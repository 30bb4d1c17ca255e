# shellcheck shell=bash
# Redis Cluster of the local stack. Node n of shard i: the primary is n = i,
# replica r is n = i + r * shards. Zones go round, so the nodes of one shard are
# never in the same zone.
REDIS_MAX=40 # the ports of a stack leave room for so many

redis_zone() { # NODE SHARDS "a b c"
    local list
    read -r -a list <<<"$3"
    printf '%s\n' "${list[($1 % $2 + $1 / $2) % ${#list[@]}]}"
}

# The nodes that a stack runs: lines "NUMBER ZONE" in DIR/run/redis-nodes. At first
# those of its layout; redis_add and redis_remove change them.
redis_list() { printf '%s\n' "$1/run/redis-nodes"; }
redis_list_init() { # DIR SHARDS NODES "a b c"
    local dir=$1 shards=$2 nodes=$3 zones=$4 n
    if [ -e "$dir/redis/created" ] && [ -s "$(redis_list "$dir")" ]; then
        return 0
    fi
    for ((n = 0; n < nodes; n++)); do
        printf '%s %s\n' "$n" "$(redis_zone "$n" "$shards" "$zones")"
    done >"$(redis_list "$dir")"
}
redis_node_ports() { # DIR BASE [bus]: all on one line; with bus, those of the cluster bus too
    local n out=()
    while read -r n _; do
        out+=("$(redis_port "$2" "$n")")
        [ -z "${3:-}" ] || out+=("$(redis_bus "$2" "$n")")
    done <"$(redis_list "$1")"
    printf '%s\n' "${out[*]}"
}
# Whether a node is in the cluster: it knows another. Its file says so also while
# it is down; one that left was reset and knows itself only.
redis_member() { # DIR PORT
    [ -e "$1/redis/created" ] || return 0 # all of them are about to be
    local known
    known=$(grep -cv '^vars ' "$1/redis/$2/nodes.conf" 2>/dev/null) || return 1
    [ "$known" -gt 1 ]
}
redis_member_ports() { # DIR BASE
    local port out=()
    for port in $(redis_node_ports "$1" "$2"); do
        ! redis_member "$1" "$port" || out+=("$port")
    done
    printf '%s\n' "${out[*]}"
}

# redis_prepare DIR BASE TEMPLATE: sets redis_changed when the users did.
redis_prepare() {
    local dir=$1 base=$2 template=$3 n
    if [ ! -e "$dir/redis/created" ]; then
        rm -rf "$dir/redis" # a cluster that was never finished
    fi
    mkdir -p "$dir/redis"
    fill_secrets "$dir" redis "$template" >"$dir/redis/users.new"
    redis_changed=no
    cmp -s "$dir/redis/users.new" "$dir/redis/users.acl" || redis_changed=yes
    mv "$dir/redis/users.new" "$dir/redis/users.acl"
    while read -r n _; do
        redis_define "$dir" "$base" "$n"
    done <"$(redis_list "$dir")"
    give "$dir/redis"
}
redis_define() { # DIR BASE NUMBER
    local port
    port=$(redis_port "$2" "$3")
    redis_node_conf "$1" "$port" "$(redis_bus "$2" "$3")"
    sv_define "$1" "redis-$port" "exec redis-server '$1/redis/$port/redis.conf'"
}

# The lowest number that no node of the stack has and whose ports are free.
redis_next() { # DIR BASE
    local n
    for ((n = 0; n < REDIS_MAX; n++)); do
        if ! grep -q "^$n " "$(redis_list "$1")" &&
            ! first_taken "$(redis_port "$2" "$n")" "$(redis_bus "$2" "$n")" >/dev/null; then
            printf '%s\n' "$n"
            return 0
        fi
    done
    return 1
}
# The zone with the fewest nodes, the first of them.
redis_emptiest() { # DIR "a b c"
    local zone
    for zone in $2; do
        printf '%s %s\n' "$(grep -c " $zone\$" "$(redis_list "$1")")" "$zone"
    done | sort -s -n -k 1,1 | sed -n '1s/.* //p'
}

# Starts one more node, which is in no cluster; sets added to its port.
redis_add() { # DIR BASE ZONE
    local dir=$1 base=$2 zone=$3 n
    n=$(redis_next "$dir" "$base") || die "$REDIS_MAX Redis nodes at most, or their ports are taken"
    added=$(redis_port "$base" "$n")
    rm -rf "$dir/redis/$added" # of one that was cut short
    printf '%s %s\n' "$n" "$zone" >>"$(redis_list "$dir")"
    redis_define "$dir" "$base" "$n"
    give "$dir/redis/$added" "$(redis_list "$dir")"
    sv_up "$dir" "redis-$added" || die "cannot supervise redis-$added"
    await 20 "redis-$added (log: $dir/log/redis-$added/current)" redis_answers "$dir" "$added" ||
        exit 1
}

# Whether some other node still has it in its cluster; fails also when nobody can
# tell, with words.
redis_left() { # DIR BASE PORT
    local dir=$1 base=$2 port=$3 id other list
    id=$(awk '$3 ~ /myself/ { print $1 }' "$dir/redis/$port/nodes.conf" 2>/dev/null)
    for other in $(redis_node_ports "$dir" "$base"); do
        if [ "$other" = "$port" ] || ! redis_member "$dir" "$other"; then
            continue
        fi
        list=$(redis_cli "$dir" "$other" cluster nodes 2>/dev/null) || continue
        if [ -n "$id" ] && grep -q "^$id " <<<"$list"; then
            say "redis-$other still has redis-$port in its cluster"
            return 1
        fi
        return 0
    done
    say "no node of the cluster answers"
    return 1
}

# Ends a node's process and its supervisor; throws away its data.
redis_remove() { # DIR BASE PORT
    local dir=$1 port=$3
    sv_remove "$dir" "redis-$port"
    sed -i "/^$((port - $(redis_port "$2" 0))) /d" "$(redis_list "$dir")"
    give "$(redis_list "$dir")"
    rm -rf "$dir/redis/$port" "$dir/log/redis-$port"
}

# A replica must never hop to another shard's primary: it would end up in the
# wrong zone. The ACL file is per node: a node may save changed users into it.
redis_node_conf() {
    local dir=$1 port=$2 bus=$3 home=$1/redis/$2
    mkdir -p "$home"
    cp "$dir/redis/users.acl" "$home/users.acl"
    cat >"$home/redis.conf" <<EOC
bind 127.0.0.1
port $port
protected-mode yes
dir $home
daemonize no
supervised no
logfile ""
aclfile $home/users.acl
masteruser replica
masterauth $(secret "$dir" redis-replica)
cluster-enabled yes
cluster-port $bus
cluster-config-file nodes.conf
cluster-node-timeout 5000
cluster-require-full-coverage no
cluster-allow-replica-migration no
maxmemory-policy noeviction
appendonly yes
appendfsync everysec
auto-aof-rewrite-min-size 512mb
save ""
repl-diskless-sync yes
repl-diskless-sync-delay 0
repl-backlog-size 64mb
client-output-buffer-limit replica 1gb 512mb 60
shutdown-timeout 2
enable-debug-command local
EOC
}

redis_cli() { # DIR PORT ARGS...: as the admin user; commands on stdin without ARGS
    local dir=$1 port=$2
    shift 2
    REDISCLI_AUTH=$(secret "$dir" redis-admin) redis-cli --no-auth-warning --user admin \
        -h 127.0.0.1 -p "$port" "$@"
}

redis_answers() { # DIR PORT...
    local dir=$1 port
    shift
    for port in "$@"; do
        [ "$(redis_cli "$dir" "$port" ping 2>/dev/null)" = PONG ] || return 1
    done
}

redis_healthy() { # DIR REPLICAS PORT...
    local dir=$1
    cluster_healthy "${@:2}"
}

# What cluster.sh asks for: a node's address is its port. They use the caller's dir.
node_cli() { redis_cli "$dir" "$@"; }
node_meet() { printf '127.0.0.1 %s %s\n' "$1" $(($1 - $(redis_port 0 0) + $(redis_bus 0 0))); }

redis_create() { # DIR BASE SHARDS REPLICAS
    local dir=$1 ports
    read -r -a ports <<<"$(redis_ports "$2" $(($3 * ($4 + 1))))"
    cluster_create "$3" "${ports[@]}" || return 1
    : >"$dir/redis/created"
}

redis_ports() { # BASE NODES: all on one line
    local n out=()
    for ((n = 0; n < $2; n++)); do
        out+=("$(redis_port "$1" "$n")")
    done
    printf '%s\n' "${out[*]}"
}
