# shellcheck shell=bash
# The second site of a local stack with DR: DIR/west, a stack like the first one beside it, on ports
# of its own. It has NATS, an empty Redis Cluster and no PostgreSQL; of the services dr and
# metadata-api run, in standby, until a fail-over brings the store there. The sites share their
# secrets: what PostgreSQL holds of them comes along with it.

SITES=(east west)
SITE_SERVICES=(placement rebalance autoscale) # that run where the store is

site_dir() { printf '%s/west\n' "$1"; } # DIR of the first
site_base() {                           # DIR BASE
    cat "$1/west/run/port-base" 2>/dev/null || printf '%s\n' "${PRISM_SITE_PORT_BASE:-$(($2 + 100))}"
}

# Which directory and which base port a site has.
site_of() { # DIR BASE NAME: "DIR BASE"
    if [ "$3" = west ]; then
        printf '%s %s\n' "$(site_dir "$1")" "$(site_base "$1" "$2")"
    else
        printf '%s %s\n' "$1" "$2"
    fi
}

site_up() { # DIR BASE PROGRAM...: restarts services whose program changed
    local dir=$1 west base service
    west=$(site_dir "$dir")
    base=$(site_base "$dir" "$2")
    mkdir -p "$west/run"
    : >"$west/run/dr"
    site_secrets "$dir" "$west"
    "$root/tools/localstack" start "$west" --port-base "$base" --zones "$zones" \
        --shards 3 --replicas 1 --no-postgres || die "the second site did not start: see above"
    # The receiver's disk stands in the other region: what it has is there when the first is gone.
    mkdir -p "$dir/dr-pg/wal" "$west/dr-pg"
    chmod 700 "$dir/dr-pg" "$dir/dr-pg/wal" "$west/dr-pg"
    ln -sfn ../../dr-pg/wal "$west/dr-pg/wal"
    give "$dir/dr-pg" "$west/dr-pg"
    ln -sfn ../bin "$west/bin"
    ln -sfn ../s3 "$west/s3"
    site_postgres "$west"
    site_files "$dir" "$2"
    PRISM_NATS_URL=$(stack_env "$west" IT_NATS_URL) \
        PRISM_NATS_USER=$(stack_env "$west" IT_NATS_ADMIN_USER) \
        PRISM_NATS_PASSWORD=$(stack_env "$west" IT_NATS_ADMIN_PASSWORD) \
        "$dir/bin/prism-admin" bus >/dev/null || die "prism-admin bus failed at the second site"
    services_define "$west" "$base"
    for service in "${SERVICES[@]}"; do # those of a store that came here run
        ! grep -qx "prism-$service" <<<"$(printf '%s\n' "${@:3}")" || site_restart "$west" "$service"
    done
    sv_up "$west" dr metadata-api || die "cannot supervise the second site's services"
    site_lives "$west" "$base"
}

site_restart() { # WEST SERVICE
    [ "$(sv_state "$1" "$2" | cut -d' ' -f1)" = up ] || return 0
    sv_down "$1" 25 "$2"
    sv_up "$1" "$2" || die "cannot supervise $2 of the second site"
}

# Standing by they are not ready: there is no PostgreSQL.
site_lives() { # WEST BASE
    local service
    for service in dr metadata-api; do
        await 30 "$service of the second site (log: $1/log/$service/current)" \
            curl -fs -o /dev/null -m 2 "http://127.0.0.1:$(service_port "$2" "$service")/livez" ||
            exit 1
    done
}

site_secrets() { # DIR WEST
    mkdir -p "$2/secrets"
    (umask 077 && cp "$1"/secrets/* "$2/secrets/")
    if [ ! -s "$2/token" ]; then
        (umask 077 && secret "$2" standby-token >"$2/token.new" && printf '\n' >>"$2/token.new")
        mv "$2/token.new" "$2/token"
    fi
    printf '%s' "$(<"$2/token")" | sha256sum | cut -d' ' -f1 >"$2/standby.sha256"
    give "$2/secrets" "$2/token" "$2/standby.sha256" "$2/run"
}

# dr restores it and starts it; from the next ./dev up on its supervisor does.
site_postgres() { # WEST
    pg_supervise "$1" down
    if [ -s "$1/pg/PG_VERSION" ] && [ ! -e "$1/pg/recovery.signal" ]; then
        sv_up "$1" postgres || die "cannot supervise the second site's PostgreSQL"
    fi
}

# PRISM_DR_SITES_PATH, the same for both, with its secrets and hooks in DIR/sites.
site_files() ( # DIR BASE; in a subshell, for its umask
    umask 077
    local name where base
    mkdir -p "$1/sites"
    for name in "${SITES[@]}"; do
        read -r where base <<<"$(site_of "$1" "$2" "$name")"
        secret "$1" redis-admin >"$1/sites/redis"
        printf 'postgresql://postgres:%s@127.0.0.1:%s/prism' "$(secret "$1" postgres)" "$base" \
            >"$1/sites/$name.pg"
        site_hooks "$1/sites/$name" "$where" "$base"
        site_json "$1" "$name" "$where" "$base"
    done | jq -s '{sites: .}' >"$1/sites/sites.json.new" || die "cannot write $1/sites/sites.json"
    mv "$1/sites/sites.json.new" "$1/sites/sites.json"
    give "$1/sites"
)

# Ports are west's own; PostgreSQL's settings come from the first site, but for these.
site_json() { # DIR NAME WHERE BASE
    local nodes n zone
    nodes=$(while read -r n zone; do
        printf 'redis-%s 127.0.0.1:%s %s\n' "$(redis_port "$4" "$n")" "$(redis_port "$4" "$n")" "$zone"
    done <"$(redis_list "$3")")
    jq -n --arg name "$2" --arg dir "$1/sites" --arg where "$3" --arg port "$4" --arg nodes "$nodes" '{
        name: $name,
        redis: {
            nodes: [$nodes | split("\n")[] | split(" ") | {id: .[0], address: .[1], zone: .[2]}],
            user: "admin", password_path: ($dir + "/redis"), keep: ["dr", "replica"]
        },
        postgres: {
            uri_path: ($dir + "/" + $name + ".pg"), data: ($where + "/pg"),
            settings: ["port=" + $port, "unix_socket_directories=",
                "archive_command=pgbackrest --config=" + $where +
                "/dr-pg/pgbackrest.conf --stanza=prism archive-push %p"]
        },
        hooks: ({stop: "stop", start: "start", switch: "switch"}
            | map_values($dir + "/" + $name + "." + .) + {timeout_s: 60})
    }'
}

# What a fail-over does with a site's services: they go where the store goes. They run under runit,
# so what a hook starts outlives it. `stop` says by ending with 0 that of its servers those that do
# not answer are down: a process that is there and does not answer may wake up.
site_hooks() { # PREFIX WHERE
    local hook
    for hook in stop start switch; do
        printf '#!/bin/bash\nexport SVDIR=%q\n' "$2/sv" >"$1.$hook"
    done
    cat >>"$1.stop" <<EOC
sv -w 25 force-stop ${SITE_SERVICES[*]} || exit 1
answers() { # PORT
    exec 3<>"/dev/tcp/127.0.0.1/\$1" && printf 'PING\r\n' >&3 && read -r -t 2 -u 3 _
}
for server in $(redis_node_ports "$2" "$3" | sed 's/[0-9]*/redis-&/g'); do
    [[ \$(sv status "\$server" 2>&1) != run:* ]] || (answers "\${server#redis-}") || exit 1
done
[[ \$(sv status postgres 2>&1) != run:* ]] || pg_isready -q -t 2 -h 127.0.0.1 -p $3
EOC
    printf 'exec sv start %s\n' "${SITE_SERVICES[*]}" | tee -a "$1.start" >>"$1.switch"
    chmod 700 "$1".{stop,start,switch}
}

# Of dr and metadata-api, at both sites.
site_settings() { # DIR SETTINGS-DIR SERVICE
    local dir=$1 env=$2 first=$1 name=east
    if [ "$(basename "$dir")" = west ] && [ -e "$(dirname "$dir")/sites" ]; then
        first=$(dirname "$dir") name=west
    fi
    [ -e "$dir/run/dr" ] || return 0
    case $3 in
    dr)
        printf '%s' "$first/sites/sites.json" >"$env/PRISM_DR_SITES_PATH"
        printf '%s' "$name" >"$env/PRISM_DR_SITE"
        ;;
    metadata-api) printf '%s' "$first/west/standby.sha256" >"$env/PRISM_API_STANDBY_TOKEN_SHA256_PATH" ;;
    esac
}
