# shellcheck shell=bash
# ./dev lint and ./dev fmt. Every check runs, whatever the ones before it said;
# the last line names those that failed, and those that could not be made: with
# --strict they have failed, too. Uses ./dev's root.

NOT_CHECKED=77 # what a check returns that could not be made

# Everything that is not ignored, whether added yet or not.
project_files() { git -C "$root" ls-files --cached --others --exclude-standard -- "$@" | sort -u; }
present() { # those of the names on standard input that are files
    local name
    while read -r name; do
        [ ! -f "$root/$name" ] || printf '%s\n' "$name"
    done
}
c_files() { project_files '*.c' '*.h' | present; }
sources() { project_files "$1/*.c" | present; }

lint_format() {
    local bad
    # shellcheck disable=SC2016 # expanded by the sh that xargs starts
    bad=$(c_files | xargs -P "$(nproc)" -n 8 sh -c '
        for file; do
            clang-format --dry-run --Werror "$file" >/dev/null 2>&1 || echo "$file"
        done' sh | sort)
    [ -z "$bad" ] || printf 'not formatted (./dev fmt):\n%s\n' "$bad"
    [ -z "$bad" ]
}

# Scripts that run are read with what they source. Fragments are read alone as
# well: there a name of another fragment is not known (SC2034, SC2153, SC2154).
lint_shell() {
    local file run=() fragment=()
    while read -r file; do
        case $(head -n 1 "$file" | tr -d '\0') in
        '#!'*sh | '#!'*sh\ *) run+=("$file") ;;
        '# shellcheck shell='*) fragment+=("$file") ;;
        esac
    done < <(project_files . | present)
    shellcheck -x "${run[@]}" && shellcheck -e SC2034,SC2153,SC2154 "${fragment[@]}"
}

lint_cppcheck() {
    local include=(common/base common/io common/xml common/s3 common/web common/graph common/dataplane services/placement
        services/rebalance services/autoscale services/metadata-api/core services/metadata-api/io tests/support)
    mkdir -p build/lint/cppcheck
    # shellcheck disable=SC2046 # no name of ours has a blank
    cppcheck --enable=warning,portability --error-exitcode=1 --quiet --std=c11 -j "$(nproc)" \
        --cppcheck-build-dir=build/lint/cppcheck --library=tools/lint/cppcheck.cfg \
        --suppressions-list=tools/lint/cppcheck.suppress --inline-suppr \
        --template='{file}:{line}: {severity}: {message} [{id}]' \
        -D_GNU_SOURCE '-DPRISM_VERSION=""' "${include[@]/#/-I}" \
        $(sources common) $(sources services) $(sources tools) $(sources tests)
}

# One process a file: with several, clang 14 loses track of va_list. What was
# clean is not read again until it, a header or the rules change.
lint_tidy() {
    local rules bad
    build "$root" dev prism_proto
    mkdir -p build/lint/tidy
    rules=$( (clang-tidy --version && cat .clang-tidy && project_files '*.h' '*.def' | present |
        xargs cat) | sha256sum)
    # shellcheck disable=SC2016 # expanded by the sh that xargs starts
    bad=$({ sources common && sources services && sources tools; } |
        RULES=$rules xargs -P "$(nproc)" -n 1 sh -c '
            stamp=build/lint/tidy/$(echo "$1" | tr / -)
            now=$(echo "$RULES" | cat - "$1" | sha256sum)
            [ "$(cat "$stamp" 2>/dev/null)" != "$now" ] || exit 0
            if said=$(clang-tidy -p build/dev --quiet "$1" 2>/dev/null); then
                echo "$now" >"$stamp"
            else
                printf "%s\n" "$said" "$1: clang-tidy is not content"
            fi' sh)
    [ -z "$bad" ] || printf '%s\n' "$bad"
    [ -z "$bad" ]
}

# release_before PATH [OPTION]: the tag of the release before this commit; or, while there is none, the
# commit before the newest that changed PATH (OPTION: of git log). Fails where no such commit is, as in
# a shallow clone.
release_before() {
    local newest
    git -C "$root" describe --tags --match 'v*' --abbrev=0 "HEAD^" 2>/dev/null && return
    newest=$(git -C "$root" log -1 --format=%H "${@:2}" -- "$1" 2>/dev/null)
    [ -n "$newest" ] && git -C "$root" rev-parse --verify --quiet "$newest^"
}

# Compared with the release before: what is committed would say of itself that it breaks nothing.
lint_proto() {
    local modules buf before out=build/lint/proto
    modules=$("$root/tools/npm.sh" lint 'proto/' 'buf comes from npm') || return
    buf=$modules/.bin/buf
    (cd proto && "$buf" lint) || return 1
    if ! before=$(release_before proto) || ! git cat-file -e "$before:proto" 2>/dev/null; then
        printf 'NOT CHECKED: breaking changes of proto/, because no commit before this one has it (a shallow clone?)\n'
        return "$NOT_CHECKED"
    fi
    rm -rf "$out"
    mkdir -p "$out"
    git archive "$before" proto | tar -x -C "$out" && "$buf" breaking proto --against "$out/proto"
}

lint_openapi() {
    local tools rc=0 file=services/metadata-api/openapi.json
    tools=$(tools/openapi/install.sh) || rc=$?
    [ "$rc" = 0 ] || return "$rc"
    "$tools/redocly" lint --config tools/openapi/redocly.yaml "$file" || return 1
    "$tools/spectral" lint -r tools/openapi/spectral.yaml --fail-severity=hint "$file"
}

cmd_lint() { # [--strict]
    local check rc strict=no failed=() missed=()
    case $* in
    '') ;;
    --strict) strict=yes ;;
    *) die "lint [--strict]" ;;
    esac
    ensure_packages "${PACKAGES_UP[@]}" "${PACKAGES_LINT[@]}" "${PACKAGES_ANALYSE[@]}" "${PACKAGES_DEPLOY[@]}"
    cd "$root" || exit
    # shellcheck source=tools/lint/deploy.sh
    . "$root/tools/lint/deploy.sh" # here, for ./dev is copied without it
    for check in format shell cppcheck tidy proto openapi rules dashboards metrics chart dockerfile migrations bites; do
        step "lint: $check"
        rc=0
        ("lint_$check") || rc=$?
        if [ "$rc" = "$NOT_CHECKED" ] && [ "$strict" = no ]; then
            missed+=("$check")
        elif [ "$rc" != 0 ]; then
            failed+=("$check")
        fi
    done
    if [ "${#failed[@]}" -gt 0 ]; then
        printf 'lint: FAILED: %s%s\n' "${failed[*]}" "${missed[*]:+ (not checked: ${missed[*]})}"
        return 1
    fi
    printf 'lint: OK%s\n' "${missed[*]:+, but not checked: ${missed[*]}}"
}

cmd_fmt() {
    ensure_packages "${PACKAGES_LINT[@]}"
    cd "$root" || exit
    c_files | xargs clang-format -i
}
