#!/bin/sh
# Options, or a configuration file, alone are redis-server's; as root it becomes the user redis.
set -e
case ${1:-} in
'' | -* | *.conf) set -- redis-server "$@" ;;
esac
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    find . ! -user redis -exec chown redis {} +
    exec setpriv --reuid=redis --regid=redis --init-groups -- "$@"
fi
exec "$@"
