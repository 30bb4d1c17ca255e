# shellcheck shell=bash
# What ./dev lint checks of rules, dashboards, chart, images and migrations. Each check is a script of its own in
# tools/deploy, which takes files, so that tests/lint can give it broken ones. Uses lint.sh's NOT_CHECKED, project_files
# and present; offline once the npm packages of tools/deploy are there.

lint_rules() { tests/unit/rules.sh "$root" && tests/unit/runbooks.sh "$root"; }

lint_dashboards() { tests/unit/dashboards.sh "$root" && tools/deploy/promql.sh; }

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

lint_migrations() { tools/deploy/migrations.sh migrations/*.sql; }

# Every linter is given something broken, and has to refuse it.
lint_bites() { tests/lint/bites.sh "$root"; }
