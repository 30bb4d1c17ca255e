#!/bin/bash
# Whether the node answers, and has loaded its data.
REDISCLI_AUTH=$(</run/secrets/redis-replica)
export REDISCLI_AUTH
[ "$(redis-cli --no-auth-warning --user replica ping)" = PONG ]
