# shellcheck shell=bash
# For tests that look at the dashboard: Debian's chromium, and what drives it. Beside session.sh.
: "${root:?is set by session.sh}"

# Sets what tests/e2e/dashboard/*.mjs need; 77, saying what is not checked, where it cannot be had.
browser_there() { # WHAT
    PRISM_CHROMIUM=$(command -v chromium) || {
        printf 'NOT CHECKED: %s, because chromium is not installed (apt-get install chromium)\n' "$1" >&2
        return 77
    }
    PRISM_BROWSER_MODULES=$("$root/tools/npm.sh" browser "$1" 'playwright-core and axe come from npm') || return $?
    export PRISM_CHROMIUM PRISM_BROWSER_MODULES PRISM_SHOTS=$PRISM_STATE.shots
    rm -rf "$PRISM_SHOTS"
    mkdir -p "$PRISM_SHOTS"
}
