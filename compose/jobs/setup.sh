#!/bin/bash
# Streams, function library, the number of partitions, and a token in a volume.
set -euo pipefail
token=/var/lib/prism/token
prism-admin bus
prism-admin library
prism-admin store --partitions "$PRISM_PARTITIONS"
if [ ! -s "$token" ]; then
    (umask 077 && prism-admin token --name compose --role admin --replace >"$token.new")
    mv "$token.new" "$token"
fi
