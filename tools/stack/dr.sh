# shellcheck shell=bash
# DR in the local stack, for who asks for it: an S3 server beside the others, which plays the other
# region's, the service dr, and a second site (site.sh). A state directory remembers that it has it.
# Of ./dev come: state, root, base, dir, SERVICES, PROGRAMS, step.

# Whether it is wanted: as PRISM_DR says, else as the last `up` did.
dr_wanted() {
    case ${PRISM_DR:-} in
    1 | yes | on) return 0 ;;
    0 | no | off) return 1 ;;
    "") [ -e "$state/run/dr" ] ;;
    *) die "PRISM_DR is $PRISM_DR: 1 or 0" ;;
    esac
}

# From here on ./dev has one service and one program more.
dr_include() {
    SERVICES+=(dr)
    PROGRAMS+=(prism-dr)
}

# What is there is what is said, and what was there and is not wanted goes; its data stays.
dr_settle() { # DIR
    local dir=$1 name
    if dr_wanted; then
        : >"$dir/run/dr"
        return
    fi
    [ -e "$dir/run/dr" ] || return 0
    "$root/tools/localstack" stop "$(site_dir "$dir")"
    for name in dr s3-rgw s3-osd s3-mon; do
        [ ! -d "$dir/sv/$name" ] || sv_remove "$dir" "$name"
        [ "$name" != dr ] || sv_down "$dir" 60 postgres # it archives its log, and needs the bucket to stop
    done
    rm -f "$dir/run/dr"
}

dr_s3_port() { printf '%s\n' $(($1 + 2)); } # BASE; seven more belong to it

dr_s3_up() { # DIR BASE
    local dir=$1 port taken
    port=$(dr_s3_port "$2")
    if [ "$(sv_state "$dir" s3-mon | cut -d' ' -f1)" != up ] &&
        taken=$(first_taken $(seq "$port" $((port + S3_PORTS - 1)))); then
        die "port $taken (S3) is taken: stop what listens there, or set PRISM_PORT_BASE"
    fi
    mkdir -p "$dir/s3"
    s3_start "$dir/s3" "$port" disk dr_s3_supervise give
    (umask 077 && s3_env "$dir/s3" "$port" >"$dir/s3/env")
    give "$dir/s3/env"
}

# As svlogd keeps what they say, they write no logs of their own; and no line for every request.
dr_s3_supervise() { # DIR/s3 NAME COMMAND...
    local dir=${1%/s3} name=$2 quiet=()
    shift 2
    [ "$name" != rgw ] || quiet=(--debug-rgw=0)
    sv_define "$dir" "s3-$name" "exec $(printf '%q ' "$@" "${quiet[@]}")-d" down
    sv_up "$dir" "s3-$name" || die "cannot supervise s3-$name"
}

dr_s3_env() { # DIR NAME
    sed -n "s/^$2=//p" "$1/s3/env"
}
# pgBackRest speaks TLS alone; its bucket is that of the shards. A site in standby has a directory
# for PostgreSQL's data, and nothing in it.
dr_settings() { # DIR SETTINGS-DIR
    local dir=$1 env=$2
    stack_env "$dir" IT_DR_REDIS_USER >"$env/PRISM_REDIS_USER"
    stack_env "$dir" IT_DR_REDIS_PASSWORD >"$env/PRISM_REDIS_PASSWORD"
    printf 'https://localhost:%s' "$(dr_s3_env "$dir" IT_S3_TLS_PORT)" >"$env/PRISM_DR_S3_ENDPOINT"
    dr_s3_env "$dir" IT_S3_CA_FILE >"$env/PRISM_DR_S3_CA_PATH"
    dr_s3_env "$dir" IT_S3_BUCKET >"$env/PRISM_DR_S3_BUCKET"
    dr_s3_env "$dir" IT_S3_REGION >"$env/PRISM_DR_S3_REGION"
    dr_s3_env "$dir" IT_S3_ACCESS >"$env/PRISM_DR_S3_ACCESS_KEY_ID"
    dr_s3_env "$dir" IT_S3_SECRET >"$env/PRISM_DR_S3_SECRET_ACCESS_KEY"
    printf true >"$env/PRISM_DR_S3_PATH_STYLE"
    printf 'postgresql://postgres:%s@127.0.0.1:%s/prism' "$(secret "$dir" postgres)" \
        "$(<"$dir/run/pg.port")" >"$env/PRISM_DR_PG_URI"
    printf '%s' "$dir/pg" >"$env/PRISM_DR_PG_DATA_PATH"
    printf '%s' "$dir/dr-pg" >"$env/PRISM_DR_PG_PATH"
    printf 5000 >"$env/PRISM_DR_PG_LOOK_MS"
}
