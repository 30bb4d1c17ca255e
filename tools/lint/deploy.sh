# shellcheck shell=bash
# What ./dev lint checks of rules, dashboards, chart, images and migrations. Each check is a script of its own in
# tools/deploy, which takes files, so that tests/lint can give it broken ones. Uses lint.sh's NOT_CHECKED, project_files
# and present; offline once the npm packages of tools/deploy are there.

lint_rules() { tests/unit/rules.sh "$root" && tests/unit/runbooks.sh "$root"; }

lint_dashboards() { tests/unit/dashboards.sh "$root" && tools/deploy/promql.sh; }

# What the services say at /metrics, for which they need no server. Built anew where they were built before: what is older
# than its tables says something else.
lint_metrics() {
    local services=(prism-{metadata-api,placement,rebalance,autoscale,dr})
    if [ ! -e build/release/bin/prism-dr ]; then
        printf 'NOT CHECKED: /metrics of the services, because they are not built (./dev build)\n'
        return "$NOT_CHECKED"
    fi
    (build "$root" release "${services[@]}") && tests/integration/metrics_live.sh build/release/bin "$root"
}

lint_chart() {
    local out=build/lint/chart rc=0
    rm -rf "$out"
    tools/deploy/render.sh "$out" || return
    tools/deploy/manifests.sh "$out"/*.yaml || rc=$?
    tools/deploy/promql.sh "$out"/*.yaml || { [ "$rc" != 0 ] && [ "$rc" != "$NOT_CHECKED" ]; } || rc=1
    return "$rc"
}

lint_dockerfile() {
    local files
    mapfile -t files < <(project_files '*Dockerfile' '*.Dockerfile' 'Dockerfile.*' | grep -v '\.dockerignore$' | present)
    tools/deploy/dockerfile.sh "${files[@]}"
}

# squawk.accepted asks of no migration that it limits how long it waits, because who runs them does.
lint_migrations() {
    local runner
    tools/deploy/migrations.sh migrations/*.sql || return
    for runner in compose/docker-compose.yml deploy/helm/prism/templates/jobs.yaml; do
        grep -qE 'PGOPTIONS.*lock_timeout=[0-9]+s .*statement_timeout=' "$runner" || {
            printf '%s runs migrations without lock_timeout and statement_timeout\n' "$runner"
            return 1
        }
    done
}

# Every linter is given something broken, and has to refuse it.
lint_bites() { tests/lint/bites.sh "$root"; }
