#!/bin/sh
# Options alone are nats-server's.
case ${1:-} in
'' | -*) set -- nats-server "$@" ;;
esac
exec "$@"
