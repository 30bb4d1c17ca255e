#!/bin/bash
# As the public image: makes the database the first time (POSTGRES_USER, POSTGRES_PASSWORD or _FILE,
# POSTGRES_DB, POSTGRES_INITDB_ARGS, POSTGRES_HOST_AUTH_METHOD; *.sh, *.sql and *.sql.gz of
# /docker-entrypoint-initdb.d), then becomes the server. As root it becomes the user postgres.
set -Eeuo pipefail

user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
password=${POSTGRES_PASSWORD:-}
if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
    [ -z "$password" ] || { echo "POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE are both set" >&2 && exit 1; }
    password=$(<"$POSTGRES_PASSWORD_FILE")
fi

sql() { psql -X -q -v ON_ERROR_STOP=1 --no-psqlrc -U "$user" "$@"; }

make_database() {
    local file auth=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    [ -n "$password" ] || [ "$auth" = trust ] || { echo "POSTGRES_PASSWORD is not set" >&2 && exit 1; }
    # shellcheck disable=SC2086 # options
    initdb -D "$PGDATA" -U "$user" --pwfile=<(printf '%s\n' "$password") ${POSTGRES_INITDB_ARGS:-}
    printf '\nhost all all all %s\n' "$auth" >>"$PGDATA/pg_hba.conf"
    # Through the socket alone: nobody else gets in before it is complete.
    pg_ctl -D "$PGDATA" -w -o "-c listen_addresses='' $*" start
    export PGPASSWORD=$password
    [ "$database" = postgres ] || printf 'CREATE DATABASE :"name";\n' | sql -d postgres -v name="$database"
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
        *.sh)
            # shellcheck disable=SC1090 # whatever the user has put there
            if [ -x "$file" ]; then "$file"; else . "$file"; fi
            ;;
        *.sql) sql -d "$database" -f "$file" ;;
        *.sql.gz) gunzip -c "$file" | sql -d "$database" ;;
        esac
    done
    pg_ctl -D "$PGDATA" -m fast -w stop
    unset PGPASSWORD
}

case ${1:-} in
'' | -*) set -- postgres "$@" ;;
esac
if [ "$1" = postgres ]; then
    if [ "$(id -u)" = 0 ]; then
        mkdir -p "$PGDATA"
        find "$PGDATA" ! -user postgres -exec chown postgres {} +
        chmod 00700 "$PGDATA"
        exec setpriv --reuid=postgres --regid=postgres --init-groups -- "${BASH_SOURCE[0]}" "$@"
    fi
    mkdir -p "$PGDATA"
    chmod 00700 "$PGDATA" 2>/dev/null || true
    [ -s "$PGDATA/PG_VERSION" ] || make_database "${@:2}"
    # The public image's configuration listens everywhere.
    set -- postgres -c listen_addresses='*' "${@:2}"
fi
exec "$@"
