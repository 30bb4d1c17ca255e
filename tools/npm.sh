#!/usr/bin/env bash
# tools/npm.sh NAME WHAT WHY: brings the npm programs of tools/NAME (pinned in its package-lock.json) and
# prints their node_modules. Exits 77, saying what is not checked, when they cannot be had; what was
# installed once needs no network.
set -euo pipefail
here=$(cd "$(dirname "$0")/$1" && pwd)
dir=$here/../../build/lint/$1
missing() {
    printf 'NOT CHECKED: %s, because %s\n' "$what" "$1" >&2
    exit 77
}
what=$2
command -v npm >/dev/null || missing "npm is not installed ($3)"
mkdir -p "$dir"
exec 8>"$dir/lock"
flock 8 # tests of two trees may want it at once
if ! cmp -s "$here/package-lock.json" "$dir/package-lock.json" || [ ! -e "$dir/complete" ]; then
    rm -rf "$dir/complete" "$dir/node_modules"
    cp "$here/package.json" "$here/package-lock.json" "$dir"
    [ ! -e "$here/.npmrc" ] || cp "$here/.npmrc" "$dir"
    (cd "$dir" && npm ci --prefer-offline --ignore-scripts --no-audit --no-fund --loglevel=error >&2) ||
        missing "npm could not install what is in tools/$1/package.json"
    : >"$dir/complete"
fi
printf '%s\n' "$(cd "$dir" && pwd)/node_modules"
