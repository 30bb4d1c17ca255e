#!/bin/bash
# A Redis node of the Compose stack, which announces the address $ANNOUNCE. The users are those of
# compose/secrets.sh at every start; the node has its own copy, which it may save changes into.
set -euo pipefail
umask 077
cp /run/secrets/redis-users /data/users.acl
chmod 600 /data/users.acl
{
    cat /etc/prism/redis.conf
    printf 'cluster-announce-ip %s\n' "$ANNOUNCE"
    printf 'masterauth %s\n' "$(</run/secrets/redis-replica)"
} >/tmp/redis.conf
exec redis-server /tmp/redis.conf
