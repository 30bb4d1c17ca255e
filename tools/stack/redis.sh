# shellcheck shell=bash
# Redis Cluster of the local stack. Node n of shard i: the primary is n = i,
# replica r is n = i + r * shards. Zones go round, so the nodes of one shard are
# never in the same zone.

redis_zone() { # NODE SHARDS "a b c"
    local list
    read -r -a list <<<"$3"
    printf '%s\n' "${list[($1 % $2 + $1 / $2) % ${#list[@]}]}"
}

# redis_prepare DIR BASE NODES TEMPLATE: sets redis_changed when the users did.
redis_prepare() {
    local dir=$1 base=$2 nodes=$3 template=$4 n port
    if [ ! -e "$dir/redis/created" ]; then
        rm -rf "$dir/redis" # a cluster that was never finished
    fi
    mkdir -p "$dir/redis"
    fill_secrets "$dir" redis "$template" >"$dir/redis/users.new"
    redis_changed=no
    cmp -s "$dir/redis/users.new" "$dir/redis/users.acl" || redis_changed=yes
    mv "$dir/redis/users.new" "$dir/redis/users.acl"
    for ((n = 0; n < nodes; n++)); do
        port=$(redis_port "$base" "$n")
        redis_node_conf "$dir" "$port" "$(redis_bus "$base" "$n")"
        sv_define "$dir" "redis-$port" "exec redis-server '$dir/redis/$port/redis.conf'"
    done
    give "$dir/redis"
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

redis_all_met() { # DIR NODES PORT...: every node knows every node
    local dir=$1 nodes=$2 port list
    shift 2
    for port in "$@"; do
        list=$(redis_cli "$dir" "$port" cluster nodes) || return 1
        [ "$(grep -c . <<<"$list")" -eq "$nodes" ] || return 1
        ! grep -qE 'handshake|noaddr' <<<"$list" || return 1
    done
}

# Every node says ok, and every primary has its replicas in step.
redis_healthy() { # DIR REPLICAS PORT...
    local dir=$1 replicas=$2 port info
    shift 2
    for port in "$@"; do
        info=$(redis_cli "$dir" "$port" 2>/dev/null <<<$'cluster info\ninfo replication') || return 1
        grep -q 'cluster_state:ok' <<<"$info" || return 1
        grep -q 'cluster_slots_ok:16384' <<<"$info" || return 1
        if grep -q 'role:master' <<<"$info"; then
            [ "$(grep -c 'state=online' <<<"$info")" -ge "$replicas" ] || return 1
        else
            grep -q 'master_link_status:up' <<<"$info" || return 1
        fi
    done
}

# redis_create DIR BASE SHARDS REPLICAS: like redis-cli --cluster create, but
# with our zones and without its fixed pauses.
redis_create() {
    local dir=$1 base=$2 shards=$3 replicas=$4 nodes n i
    nodes=$((shards * (replicas + 1)))
    for ((n = 0; n < nodes; n++)); do
        {
            echo "cluster set-config-epoch $((n + 1))"
            [ "$n" -ge "$shards" ] || echo "cluster addslotsrange" \
                "$((n * 16384 / shards)) $(((n + 1) * 16384 / shards - 1))"
        } | redis_ok "$dir" "$(redis_port "$base" "$n")" || return 1
    done
    for ((n = 0; n < nodes; n++)); do
        for ((i = n + 1; i < nodes; i++)); do # all pairs: gossip alone takes seconds
            echo "cluster meet 127.0.0.1 $(redis_port "$base" "$i") $(redis_bus "$base" "$i")"
        done | redis_ok "$dir" "$(redis_port "$base" "$n")" || return 1
    done
    local ports
    read -r -a ports <<<"$(redis_ports "$base" "$nodes")"
    await 20 "the Redis nodes to meet (logs: $dir/log/redis-*)" \
        redis_all_met "$dir" "$nodes" "${ports[@]}" || return 1
    for ((n = shards; n < nodes; n++)); do
        i=$(redis_cli "$dir" "$(redis_port "$base" $((n % shards)))" cluster myid)
        echo "cluster replicate $i" | redis_ok "$dir" "$(redis_port "$base" "$n")" || return 1
    done
    : >"$dir/redis/created"
}

redis_ok() { # DIR PORT: runs the commands on stdin; all must answer OK
    local out
    out=$(redis_cli "$1" "$2") || return 1
    if grep -qvx -e OK -e '' <<<"$out"; then
        say "Redis 127.0.0.1:$2 answered: $(grep -vx -e OK -e '' <<<"$out" | head -n 1)"
        return 1
    fi
}

redis_ports() { # BASE NODES: all on one line
    local n out=()
    for ((n = 0; n < $2; n++)); do
        out+=("$(redis_port "$1" "$n")")
    done
    printf '%s\n' "${out[*]}"
}
