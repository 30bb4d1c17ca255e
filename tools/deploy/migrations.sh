#!/usr/bin/env bash
# tools/deploy/migrations.sh FILE...: migrations lock nothing for long and break no release that still runs (squawk), as far
# as they go forward. What is accepted is in squawk.accepted, with the reason.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
modules=$("$here/../npm.sh" deploy 'migrations' 'squawk comes from npm')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for file; do
    # What comes after is for who takes a migration back by hand.
    awk '/^-- migrate:down/ { exit } { print }' "$file" >"$work/$(basename "$file")"
done
cd "$work"
rc=0
"$modules/@squawk-cli/linux-x64/bin/squawk" --pg-version 15 --assume-in-transaction --reporter gcc ./*.sql >said 2>why || rc=$?
if [ "$rc" != 0 ] && ! [ -s said ]; then # it found nothing, and failed
    cat why >&2
    exit 1
fi
awk -v accepted="$here/squawk.accepted" '
    BEGIN { while ((getline line < accepted) > 0) if (line !~ /^#/) { split(line, w, " "); ok[w[1] " " w[2]] = 1 } }
    /^[^ ]+\.sql:[0-9]+:[0-9]+: / {
        file = $1; sub(/:.*/, "", file); sub(/.*\//, "", file)
        if (("* " $3) in ok || (file " " $3) in ok) next
        print; bad = 1; next
    }
    { print "not understood: " $0; bad = 1 }
    END { exit bad }' said
