#!/usr/bin/env bash
# runbooks.sh ROOT: alerts and runbooks are one to one: every alert names a page that is there and names
# it back, and no page is without its alert. And every alert was seen to fire and not to fire (tests/rules).
# shellcheck disable=SC2016 # backquotes in single quotes are Markdown
set -euo pipefail
cd "$1"
alerts=deploy/helm/prism/files/prometheus/alerts.yml
bad=0
complain() {
    printf '%s\n' "$*"
    bad=1
}
declare -A page_of=() alert_of=()
while read -r word value; do
    case $word in
    alert) alert=$value ;;
    runbook) page_of[$alert]=$value ;;
    esac
done < <(sed -nE 's/^ *- alert: *(.*)$/alert \1/p; s/^ *runbook_url: *(.*)$/runbook \1/p' "$alerts")
for page in docs/runbooks/*.md; do
    [ "$page" != docs/runbooks/README.md ] || continue # where to run what the others say
    mapfile -t named < <(sed -nE 's/^\*\*Alert\.\*\* `([A-Za-z]+)`\.$/\1/p' "$page")
    [ "${#named[@]}" = 1 ] || complain "$page names ${#named[@]} alerts (a line: **Alert.** \`Name\`.), not one"
    alert_of[$page]=${named[0]:-}
    [ "${page_of[${named[0]:-none}]:-}" = "$page" ] ||
        complain "$page says that ${named[0]:-nothing} is its alert, and $alerts does not name it there"
done
while read -r alert; do
    page=${page_of[$alert]:-}
    [ -n "$page" ] || {
        complain "alert $alert has no runbook_url"
        continue
    }
    [ "${alert_of[$page]:-}" = "$alert" ] || complain "alert $alert names $page, which does not name it"
    grep -hF "\"$alert\"" tests/rules/*.yml | grep -q 'value: ' || complain "no test sees $alert fire"
    grep -hF "\"$alert\"" tests/rules/*.yml | grep -qF 'exp_samples: []' || complain "no test sees $alert not fire"
done < <(sed -nE 's/^ *- alert: *(.*)$/\1/p' "$alerts")
[ "$(sed -nE 's/^ *- alert: *(.*)$/\1/p' "$alerts" | sort | uniq -d)" = "" ] || complain "an alert twice"
[ "${#page_of[@]}" -gt 0 ] || complain "no alert found"
exit "$bad"
