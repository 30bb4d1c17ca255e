#!/usr/bin/env bash
# bites.sh ROOT: every linter of ./dev lint refuses what is broken (tests/lint/broken), and for the reason that it is broken
# for: a linter that reads nothing, or takes everything, would be content as well. Exits 77 when one cannot be had and the
# others bite.
set -euo pipefail
root=$1
cd "$root"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad=0 missed=()
for file in tests/lint/broken/*.in; do
    name=$(basename "$file" .in)
    sed "s|@root@|$root|" "$file" >"$dir/$name"
done
# A Dockerfile of nobody's name, and a proto and a migration as they are found.
mkdir "$dir/proto"
cp proto/buf.yaml "$dir/proto/"
cp "$dir/proto.proto" "$dir/proto/broken.proto"
cp "$dir/migration.sql" "$dir/20990101000001_broken.sql"

refuses() { # LINTER WORDS COMMAND...: it fails, and says WORDS
    local linter=$1 words=$2 said rc=0
    shift 2
    said=$("$@" 2>&1) || rc=$?
    case $rc in
    0)
        printf '%s is content with what is broken: %s\n' "$linter" "$*"
        bad=1
        ;;
    77) missed+=("$linter") ;;
    *)
        grep -qE -- "$words" <<<"$said" || {
            printf '%s fails, but does not say "%s":\n%s\n' "$linter" "$words" "$said" | head -n 30
            bad=1
        }
        ;;
    esac
}
have() { command -v "$1" >/dev/null; }
npm_program() { # DIRECTORY PROGRAM ARGUMENT...: of tools/DIRECTORY
    local modules of=$1 program=$2
    modules=$("$root/tools/npm.sh" "$of" "$program" 'it comes from npm') || return
    shift 2
    "$modules/.bin/$program" "$@"
}
chart() { # with a template that cannot be rendered
    local helm
    helm=$(tools/deploy/helm.sh) || return
    cp -r deploy/helm/prism "$dir/chart"
    cp "$dir/template.yaml" "$dir/chart/templates/broken.yaml"
    "$helm" lint --strict "$dir/chart"
}
values() { # with a value that there is not
    local helm
    helm=$(tools/deploy/helm.sh) || return
    "$helm" lint --strict deploy/helm/prism --set services.rebalance.replica=3
}
breaking() { # a field of another number
    cp -r proto "$dir/renumbered"
    sed -i 's/ = 2;/ = 2000;/' "$dir/renumbered/prism/v1/rebalance.proto"
    npm_program lint buf breaking "$dir/renumbered" --against proto
}
boards() { # COMMAND...: what the check of dashboards reads, changed by COMMAND there
    rm -rf "$dir/boards"
    mkdir "$dir/boards"
    cp -r --parents tools/deploy/dashboards.* tools/docs/rows.awk common/io/prism/io/common_metrics.def \
        services/*/metrics.def deploy/helm/prism/files "$dir/boards"
    (cd "$dir/boards" && "$@")
    tests/unit/dashboards.sh "$dir/boards"
}
runbook() { # with an alert that no page names
    mkdir -p "$dir/books/docs" "$dir/books/deploy/helm/prism/files/prometheus" "$dir/books/tests"
    cp -r docs/runbooks "$dir/books/docs/"
    cp -r tests/rules "$dir/books/tests/"
    sed '0,/alert: PrismZoneDown/s//alert: PrismNobody/' deploy/helm/prism/files/prometheus/alerts.yml \
        >"$dir/books/deploy/helm/prism/files/prometheus/alerts.yml"
    tests/unit/runbooks.sh "$dir/books"
}

if have clang-format; then
    refuses clang-format 'code should be clang-formatted' clang-format --dry-run --Werror --style=file:.clang-format "$dir/format.c"
else missed+=(clang-format); fi
refuses shellcheck SC2086 shellcheck -s sh "$dir/shell.sh"
if have cppcheck; then
    refuses cppcheck arrayIndexOutOfBounds cppcheck --enable=warning,portability --error-exitcode=1 --quiet "$dir/cppcheck.c"
else missed+=(cppcheck); fi
if have clang-tidy; then
    refuses clang-tidy 'warnings? treated as error|error:' clang-tidy --quiet --config-file=.clang-tidy "$dir/tidy.c" --
else missed+=(clang-tidy); fi
buf() (cd "$dir/proto" && npm_program lint buf lint)
refuses buf 'PascalCase|lower_snake_case' buf
refuses 'buf breaking' 'Previously present field' breaking
refuses redocly 'error|warning' npm_program openapi redocly lint --config tools/openapi/redocly.yaml "$dir/openapi.json"
refuses spectral 'operation-operationId|path-params' npm_program openapi spectral lint -r tools/openapi/spectral.yaml --fail-severity=hint "$dir/openapi.json"
if have promtool; then
    refuses 'promtool check rules' 'could not parse|parse error|unexpected' promtool check rules "$dir/rules.yml"
    refuses 'promtool test rules' FAILED promtool test rules "$dir/rules_test.yml"
    refuses 'promtool check metrics' '_total' bash -c "promtool check metrics <'$dir/metrics.txt'"
    refuses 'promtool check config' 'scrape_configss' promtool check config --syntax-only "$dir/prometheus.yml"
else missed+=(promtool); fi
for words in 'no metric prism_readyy' 'no label zone' 'rate of prism_ready' 'not PromQL'; do
    refuses promql "$words" tools/deploy/promql.sh "$dir/promql.yml"
done
refuses 'promql (dashboard)' 'no metric prism_readyy' tools/deploy/promql.sh "$dir/dashboard.json"
refuses 'promql (legend)' 'the legend names zone' tools/deploy/promql.sh "$dir/legend.json"
refuses 'promql (AnalysisTemplate)' 'no metric prism_readyy' tools/deploy/promql.sh "$dir/analysis.yaml"
refuses 'dashboards and their table' 'run tools/deploy/dashboards.sh' boards sed -i s/now-6h/now-7h/ deploy/helm/prism/files/grafana/api.json
refuses 'dashboards and metrics' 'no dashboard and no rule has prism_nobody' boards sed -i '/prism_ready/{p;s/prism_ready/prism_nobody/}' common/io/prism/io/common_metrics.def
refuses 'helm lint' 'prism.nowhere' chart
refuses 'values.schema.json' "'replica' not allowed" values
refuses 'kubernetes-models' '"replica".* does not exist' tools/deploy/manifests.sh "$dir/manifest.yaml"
refuses 'types of other kinds' '"podMetricsEndpoint".* does not exist' tools/deploy/manifests.sh "$dir/crd.yaml"
refuses 'keys that are there twice' 'unique' tools/deploy/manifests.sh "$dir/twice.yaml"
refuses 'trivy (manifests)' 'ksv017|[Pp]rivileged' tools/deploy/manifests.sh "$dir/trivy.yaml"
refuses dockerfile-utils 'COPPY' tools/deploy/dockerfile.sh "$dir/syntax.Dockerfile"
refuses 'trivy (Dockerfile)' 'ds004' tools/deploy/dockerfile.sh "$dir/trivy.Dockerfile"
refuses 'shellcheck (Dockerfile)' SC2086 tools/deploy/dockerfile.sh "$dir/shell.Dockerfile"
refuses squawk adding-required-field tools/deploy/migrations.sh "$dir/20990101000001_broken.sql"
refuses runbooks PrismNobody runbook

[ "$bad" = 0 ] || exit 1
if [ "${#missed[@]}" -gt 0 ]; then
    printf 'NOT CHECKED whether they refuse what is broken: %s\n' "${missed[*]}"
    exit 77
fi
echo 'every linter refuses what is broken'
