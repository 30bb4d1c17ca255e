# shellcheck shell=bash
# The services on top of the local stack: settings, supervision, readiness.
# DIR/env (written by tools/localstack) holds every address and secret.

SERVICES=(metadata-api placement rebalance autoscale)

stack_env() { # DIR NAME: a value of DIR/env
    local line
    line=$(grep -m 1 "^$2=" "$1/env") || die "$1/env has no $2: run ./dev up"
    printf '%s\n' "${line#*=}"
}

# One file per setting (chpst -e reads them), readable by the services' user
# only: secrets never show in a command line.
service_settings() ( # DIR SERVICE PORT; in a subshell, for its umask
    umask 077
    dir=$1 service=$2 port=$3 name=
    upper=$(tr 'a-z-' 'A-Z_' <<<"$service")
    env=$dir/settings/$service
    mkdir -p "$env"
    chmod -R go= "$dir/settings" # an earlier ./dev may have been less careful
    printf '%s' "postgresql://$(stack_env "$dir" "IT_${upper}_DB_USER"):$(
        stack_env "$dir" "IT_${upper}_DB_PASSWORD"
    )@127.0.0.1:$(<"$dir/run/pg.port")/prism" >"$env/PRISM_DB_URI"
    stack_env "$dir" IT_NATS_URL >"$env/PRISM_NATS_URL"
    stack_env "$dir" "IT_${upper}_NATS_USER" >"$env/PRISM_NATS_USER"
    stack_env "$dir" "IT_${upper}_NATS_PASSWORD" >"$env/PRISM_NATS_PASSWORD"
    printf '%s' "$port" >"$env/PRISM_HTTP_PORT"
    if [ "$service" = placement ]; then # graph files are copied here
        printf '%s' "$dir/data" >"$env/PRISM_PLACEMENT_DATA_DIRS"
    fi
    if [ "$service" = rebalance ]; then
        stack_env "$dir" IT_REDIS_SEEDS >"$env/PRISM_REDIS_SEEDS"
        stack_env "$dir" IT_REBALANCE_REDIS_USER >"$env/PRISM_REDIS_USER"
        stack_env "$dir" IT_REBALANCE_REDIS_PASSWORD >"$env/PRISM_REDIS_PASSWORD"
    fi
    if [ "$service" = autoscale ]; then
        stack_env "$dir" IT_AUTOSCALE_REDIS_USER >"$env/PRISM_REDIS_USER"
        stack_env "$dir" IT_AUTOSCALE_REDIS_PASSWORD >"$env/PRISM_REDIS_PASSWORD"
        printf '%s' "$dir/scripts/node" >"$env/PRISM_AUTOSCALE_LOCAL_COMMAND"
        for name in CLOCK_RATE LEASE_TTL_MS CALL_MS; do # trials; an empty file is no setting
            name=PRISM_AUTOSCALE_$name
            printf '%s' "${!name:-}" >"$env/$name"
        done
    fi
    [ "$service" != dr ] || dr_settings "$dir" "$env"
    site_settings "$dir" "$env" "$service"
    give "$dir/settings"
)

# Actuator local starts and stops nodes by ./dev, as the services' user: who may not see the
# checkout, so it has its own copy.
install_scripts() { # ROOT DIR
    local root=$1 dir=$2
    rm -rf "$dir/scripts"
    mkdir -p "$dir/scripts/tools/lint"
    cp "$root/dev" "$dir/scripts/"
    cp -r "$root/tools/localstack" "$root/tools/stack" "$dir/scripts/tools/"
    cp "$root/tools/lint/lint.sh" "$dir/scripts/tools/lint/"
    printf '#!/bin/sh\nPRISM_STATE=%q exec %q node "$@"\n' "$dir" "$dir/scripts/dev" \
        >"$dir/scripts/node"
    chmod -R u+rwX,go+rX "$dir/scripts"
    chmod 755 "$dir/scripts/node"
    give "$dir/scripts"
}

# They wait for `sv up`, so that none starts before its tables and streams exist.
services_define() { # DIR BASE
    local dir=$1 base=$2 service
    for service in "${SERVICES[@]}"; do
        service_settings "$dir" "$service" "$(service_port "$base" "$service")"
        sv_define "$dir" "$service" \
            "cd '$dir' && exec chpst -e '$dir/settings/$service' '$dir/bin/prism-$service'" down
    done
}

# Copies what changed; prints the names of the programs that did.
install_programs() { # FROM DIR
    local from=$1 dir=$2 program
    mkdir -p "$dir/bin"
    for program in "${PROGRAMS[@]}"; do
        [ -x "$from/$program" ] || die "$from/$program is missing: the build did not make it"
        if ! cmp -s "$from/$program" "$dir/bin/$program"; then
            install -m 0755 "$from/$program" "$dir/bin/$program"
            printf '%s\n' "$program"
        fi
    done
    give "$dir/bin"
}

service_ready() { # BASE SERVICE
    curl -fsS -o /dev/null -m 2 "http://127.0.0.1:$(service_port "$1" "$2")/readyz" 2>/dev/null
}

services_start() { # DIR BASE PROGRAM...: restarts those whose program changed
    local dir=$1 base=$2 service
    shift 2
    for service in "${SERVICES[@]}"; do
        if grep -qx "prism-$service" <<<"$(printf '%s\n' "$@")"; then
            sv_down "$dir" 25 "$service"
        fi
    done
    sv_up "$dir" "${SERVICES[@]}" || return 1
    for service in "${SERVICES[@]}"; do
        await 30 "/readyz of $service (log: $dir/log/$service/current)" \
            service_ready "$base" "$service" || {
            curl -sS -m 2 "http://127.0.0.1:$(service_port "$base" "$service")/readyz" >&2 || true
            tail -n 5 "$dir/log/$service/current" >&2 || true
            return 1
        }
    done
}
