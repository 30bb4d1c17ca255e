#!/usr/bin/env bash
# Brings the npm programs that read openapi.json (pinned in package-lock.json), and prints their
# folder. Exits 77, saying why, when they cannot be had; what was installed once needs no network.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$here/../../build/lint/openapi
missing() {
    printf 'NOT CHECKED: openapi.json, because %s\n' "$1" >&2
    exit 77
}
command -v npm >/dev/null || missing 'npm is not installed (redocly, spectral and prism come from npm)'
mkdir -p "$dir"
exec 8>"$dir/lock"
flock 8 # tests of two trees may want it at once
if ! cmp -s "$here/package-lock.json" "$dir/package-lock.json" || [ ! -e "$dir/complete" ]; then
    rm -rf "$dir/complete" "$dir/node_modules"
    cp "$here/package.json" "$here/package-lock.json" "$dir"
    (cd "$dir" && npm ci --prefer-offline --ignore-scripts --no-audit --no-fund --loglevel=error >&2) ||
        missing 'npm could not install redocly, spectral and prism'
    : >"$dir/complete"
fi
printf '%s\n' "$(cd "$dir" && pwd)/node_modules/.bin"
