#!/usr/bin/env bash
# vendored.sh [NODE_MODULES]: what others wrote is as it was taken over: every file by its checksum in
# vendored.tsv and, where npm's packages are at hand, byte for byte as there. Nothing of the dashboard
# comes from elsewhere, no page has code or style in its markup, and texts never become markup.
set -euo pipefail
cd "$(dirname "$0")/../../services/metadata-api/dashboard"
bad=0
complain() {
    printf '%s\n' "$*" >&2
    bad=1
}
while IFS=$'\t' read -r file package path licence sum; do
    [[ $file != \#* ]] || continue
    [ "$(sha256sum <"$file" | cut -d' ' -f1)" = "$sum" ] || complain "$file: not as in vendored.tsv"
    grep -qiF "${package/@/ }" licences.txt || complain "$file: $package ($licence) is not in licences.txt"
    [ $# -eq 0 ] || cmp "$1/${package%@*}/$path" "$file" || complain "$file: not as in $package"
    grep -qF "\"${package%@*}\": \"${package#*@}\"" ../../../tools/browser/package.json ||
        complain "$file: tools/browser/package.json has another version than $package"
done <vendored.tsv
own=$(find . -name '*.js' ! -name htm-preact.js ! -name uplot.js)
# shellcheck disable=SC2086 # names without blanks
if grep -nE 'innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|\beval\(|new Function|https?://' $own; then
    complain 'markup from text, or something from elsewhere'
fi
if grep -nE '<style|style=|<script>|\son[a-z]+=|https?://' index.html; then
    complain 'index.html: code, style or something from elsewhere'
fi
while read -r file; do
    [ -e "${file#ui/}" ] || complain "index.html: there is no $file"
done < <(grep -o 'ui/[a-z-]*\.[a-z]*' index.html)
[ "$bad" = 0 ] && echo 'the vendored files are as they were taken over'
exit "$bad"
