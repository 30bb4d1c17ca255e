#!/bin/bash
# An S3 server on port 7480, https on 7481, on a volume, in one container: it ends when one of its
# parts does. The host name that clients call it by is S3_HOST; the keys are secrets.
set -euo pipefail
# shellcheck source=tools/stack/common.sh
. /usr/share/prism/tools/stack/common.sh
# shellcheck source=tools/stack/s3.sh
. /usr/share/prism/tools/stack/s3.sh

S3_ACCESS=$(secret /run s3-access-key-id)
S3_SECRET=$(secret /run s3-secret-access-key)
port=7480
# shellcheck disable=SC2317 # s3_start calls it
spawn() { # DIR NAME COMMAND...
    local more=()
    # By default it listens to its own machine alone.
    [ "$2" != rgw ] || more=("--rgw_dns_name=${S3_HOST:-s3}" --debug-rgw=0
        "--rgw_frontends=beast endpoint=0.0.0.0:$port ssl_endpoint=0.0.0.0:$((port + 1)) ssl_certificate=$1/tls/server.pem")
    "${@:3}" "${more[@]}" -f >"$1/log/$2.out" 2>&1 &
}
trap 'kill $(jobs -p) 2>/dev/null; wait; exit 143' TERM INT
dir=/var/lib/s3/data
mkdir -p "$dir"
s3_start "$dir" "$port" disk spawn true
: >/tmp/ready
# Those that run: an OSD that came too early has ended already, and another one took its place.
mapfile -t parts < <(jobs -rp)
wait -n "${parts[@]}" || true
say "a part of the S3 server ended: see $dir/log"
exit 1
