# shellcheck shell=bash
# PostgreSQL of the local stack, the roles of the services, the migrations.

# Debian keeps the servers' programs out of PATH, by version: the newest.
pg_bin() {
    local bin
    bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -t/ -k5 -V | tail -1)
    [ -x "$bin/postgres" ] || die "no PostgreSQL server in /usr/lib/postgresql (apt-get install postgresql)"
    printf '%s\n' "$bin"
}

# pg_prepare DIR PORT FAST: data directory, settings, supervision; sets pg_changed when one
# that runs has to be started again for its settings.
pg_prepare() {
    local dir=$1 port=$2 fast=$3 bin sockets=$1/run
    bin=$(pg_bin)
    if [ ! -s "$dir/pg/PG_VERSION" ]; then
        pg_init "$dir" "$bin" "$fast"
    fi
    [ "${bin#/usr/lib/postgresql/"$(cat "$dir/pg/PG_VERSION")"/}" = bin ] ||
        die "$dir/pg was made by PostgreSQL $(cat "$dir/pg/PG_VERSION"), this one is $bin"
    # A socket's path may have 107 bytes at most; TCP works anyway.
    [ "${#sockets}" -le 90 ] || sockets=
    cat >"$dir/pg/prism.conf.new" <<EOC
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$sockets'
max_connections = 200
shared_buffers = 256MB
max_wal_size = 2GB
wal_compression = on
jit = off
password_encryption = 'scram-sha-256'
fsync = $([ "$fast" = yes ] && echo off || echo on)
full_page_writes = $([ "$fast" = yes ] && echo off || echo on)
$([ ! -e "$dir/run/dr" ] || pg_archive "$dir")
EOC
    # shellcheck disable=SC2034 # read by tools/localstack
    [ ! -e "$dir/pg/prism.conf" ] || cmp -s "$dir/pg/prism.conf.new" "$dir/pg/prism.conf" ||
        pg_changed=yes
    mv "$dir/pg/prism.conf.new" "$dir/pg/prism.conf"
    give "$dir/pg/prism.conf"
    pg_supervise "$dir"
}

# With DR a fail-over stops it, restores it and starts it by pg_ctl, and its supervisor has to let it:
# one that runs already is waited for, one that was stopped on purpose stays down.
pg_supervise() { # DIR [down]
    local dir=$1 run
    run="exec $(pg_bin)/postgres -D '$dir/pg'"
    [ ! -e "$dir/run/dr" ] || run="waited=
while kill -0 \"\$(head -n 1 '$dir/pg/postmaster.pid' 2>/dev/null)\" 2>/dev/null; do
    waited=yes
    sleep 1
done
[ -z \"\$waited\" ] || [ -e '$dir/pg/postmaster.pid' ] || exit 0
$run"
    sv_define "$dir" postgres "$run" "${2:-}"
    rm -f "$dir/sv/postgres/finish"
    if [ -e "$dir/run/dr" ]; then
        # shellcheck disable=SC2016 # expanded when it runs
        printf '#!/bin/sh\n[ "$1" != 0 ] || printf d >supervise/control\n' >"$dir/sv/postgres/finish"
        chmod 700 "$dir/sv/postgres/finish"
        give "$dir/sv/postgres/finish"
    fi
    # TERM would wait for every client to leave; INT ends them and stops cleanly.
    mkdir -p "$dir/sv/postgres/control"
    # shellcheck disable=SC2016 # expanded when it runs
    printf '#!/bin/sh\nkill -INT "$(head -n 1 %q)"\n' "$dir/pg/postmaster.pid" \
        >"$dir/sv/postgres/control/t"
    chmod 700 "$dir/sv/postgres/control/t"
    give "$dir/sv/postgres/control"
}

# What dr needs to bring it back elsewhere: its log in the bucket, and what the receiver has not
# taken yet kept, within limits. The log moves on every few seconds: what is in the bucket is all
# that another region has.
pg_archive() { # DIR
    cat <<EOC
archive_mode = on
archive_command = 'pgbackrest --config=$1/dr-pg/pgbackrest.conf --stanza=prism archive-push %p'
archive_timeout = 5
max_wal_size = 256MB
wal_keep_size = 256MB
wal_log_hints = on
max_slot_wal_keep_size = 1GB
EOC
}

# One that was started by pg_ctl, by dr, and not by its supervisor.
pg_stop_foreign() { # DIR
    local pid
    pid=$(head -n 1 "$1/pg/postmaster.pid" 2>/dev/null) || return 0
    [ "$(sv_state "$1" postgres | cut -d' ' -f2)" != "$pid" ] || return 0
    sv_down "$1" 5 postgres # who waits for its end would start it again
    as_user "$(pg_bin)/pg_ctl" stop -D "$1/pg" -m fast -w -t 30 >/dev/null 2>&1 || true
}

pg_init() {
    local dir=$1 bin=$2 fast=$3 sync=()
    [ "$fast" != yes ] || sync=(--no-sync)
    rm -rf "$dir/pg" "$dir/pg.new"
    secret "$dir" postgres >"$dir/run/pwfile"
    give "$dir/run/pwfile"
    (cd "$dir" && as_user "$bin/initdb" -D "$dir/pg.new" -U postgres -A scram-sha-256 \
        --pwfile="$dir/run/pwfile" -E UTF8 --locale=C.UTF-8 --no-instructions "${sync[@]}") \
        >"$dir/log/initdb.log" 2>&1 || die "initdb failed: see $dir/log/initdb.log"
    rm -f "$dir/run/pwfile"
    printf "include 'prism.conf'\n" >>"$dir/pg.new/postgresql.conf"
    mv "$dir/pg.new" "$dir/pg" # whole or not at all
}

# pg_sql DIR DATABASE [psql options]: as superuser; SQL on stdin.
pg_sql() {
    local dir=$1 database=$2
    shift 2
    PGPASSWORD=$(secret "$dir" postgres) "$(pg_bin)/psql" -X -q -A -t -v ON_ERROR_STOP=1 \
        -h 127.0.0.1 -p "$(<"$dir/run/pg.port")" -U postgres -d "$database" "$@"
}
pg_ready() { pg_sql "$1" postgres -c 'SELECT 1' >/dev/null 2>&1; }

# Logins of the services. What each may do is granted by the migrations.
pg_roles() { pg_roles_sql "$1" | pg_sql "$1" postgres; }
pg_roles_sql() {
    local dir=$1 role service
    for service in placement rebalance autoscale dr metadata-api; do
        role=prism_${service//-/_}
        printf "SELECT format('CREATE ROLE %%I', '%s') WHERE NOT EXISTS " "$role"
        printf "(SELECT FROM pg_roles WHERE rolname = '%s') \\\\gexec\n" "$role"
        printf "ALTER ROLE %s LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '%s';\n" \
            "$role" "$(secret "$dir" "pg-$service")"
    done
}

# pg_migrate DIR DATABASE MIGRATIONS: applies what is missing, as dbmate would
# (its file format and its table), each file in one transaction.
pg_migrate() {
    local dir=$1 database=$2 file version applied done_now=0
    pg_sql "$dir" "$database" <<'EOS'
SET client_min_messages = warning;
CREATE TABLE IF NOT EXISTS schema_migrations (version varchar PRIMARY KEY);
EOS
    applied=$(pg_sql "$dir" "$database" -c 'SELECT version FROM schema_migrations')
    for file in "$3"/*.sql; do
        version=$(basename "$file" | cut -d_ -f1)
        if ! grep -qx "$version" <<<"$applied"; then
            pg_apply "$dir" "$database" "$file" "$version" || {
                say "migration $file failed"
                return 1
            }
            done_now=$((done_now + 1))
        fi
    done
    printf '%s\n' "$done_now"
}

# Several may migrate at once: the lock lets one through, and the others then
# find the version recorded.
pg_apply() {
    local dir=$1 database=$2 file=$3 version=$4
    {
        printf 'BEGIN;\nSELECT pg_advisory_xact_lock(7241889) \\g /dev/null\n'
        printf "SELECT NOT EXISTS (SELECT FROM schema_migrations WHERE version = '%s')" "$version"
        printf ' AS missing \\gset\n\\if :missing\n'
        awk '/^-- migrate:down/ { exit } up; /^-- migrate:up/ { up = 1 }' "$file"
        printf "INSERT INTO schema_migrations (version) VALUES ('%s');\n" "$version"
        printf '\\endif\nCOMMIT;\n'
    } | pg_sql "$dir" "$database"
}
