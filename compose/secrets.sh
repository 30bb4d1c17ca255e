#!/usr/bin/env bash
# secrets.sh: makes what compose/docker-compose.yml reads from compose/secrets (or from the folder
# PRISM_SECRETS, which must be called `secrets`): a password for every user, the users' files of NATS
# and Redis, and the services' database addresses. What is there stays; the folder is ignored by git
# and shut to other users of this machine.
# The bucket's keys come from PRISM_S3_ACCESS_KEY_ID and PRISM_S3_SECRET_ACCESS_KEY, when set; else they
# are made for the stack's own S3 server.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools/stack/common.sh
. "$here/../tools/stack/common.sh"
# shellcheck source=tools/stack/nats.sh
. "$here/../tools/stack/nats.sh"

folder=${PRISM_SECRETS:-$here/secrets}
[ "${folder##*/}" = secrets ] || die "PRISM_SECRETS is $folder: its last part has to be secrets"
home=$(dirname "$folder") # where secret and fill_secrets look for it

# Containers run as users that this machine does not know: each file is readable, their folder is not.
put() { # NAME; the content on standard input
    cat >"$folder/$1.new"
    mv "$folder/$1.new" "$folder/$1"
}
db_uri() { # USER SECRET MORE
    printf 'postgresql://%s:%s@postgres:5432/prism%s' "$1" "$(secret "$home" "$2")" "${3:-}"
}

umask 022
mkdir -p "$folder"
chmod 0700 "$folder"
for name in admin replica client rebalance autoscale dr; do
    secret "$home" "redis-$name" >/dev/null
done
db_uri postgres postgres '?sslmode=disable' | put db-uri-admin
for service in placement rebalance autoscale dr metadata-api; do
    db_uri "prism_${service//-/_}" "pg-$service" | put "db-uri-$service"
done
fill_secrets "$home" nats "$here/../tools/stack/nats-users.conf.in" | put nats-users
fill_secrets "$home" redis "$here/../tools/stack/redis-users.acl.in" | put redis-users
for name in S3_ACCESS_KEY_ID S3_SECRET_ACCESS_KEY; do
    setting=PRISM_$name file=$(tr 'A-Z_' 'a-z-' <<<"$name")
    if [ -n "${!setting:-}" ]; then
        printf '%s' "${!setting}" | put "$file"
    else
        secret "$home" "$file" >/dev/null
    fi
done
chmod 0444 "$folder"/*
