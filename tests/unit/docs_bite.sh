#!/usr/bin/env bash
# docs_bite.sh ROOT PRISMCTL: what checks the pages finds what is wrong in one, and nothing in one that is right.
# shellcheck disable=SC2016 # backquotes in single quotes are Markdown
set -euo pipefail
root=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
env -i "$2" --help >"$dir/help"
printf 'PRISM_LOG_LEVEL\n' >"$dir/names"
printf '| what | measured |\n| --- | --- |\n| memory for a routed vertex | 13.5 bytes, 1,024 of them |\n' >"$dir/benchmarks.md"
bad=0 never=PRISM # taken apart: what a test names is in the code

# shellcheck disable=SC2317 # both are called by name
words() { awk -v page=page -f "$root/tools/docs/words.awk" "$dir/help" "$dir/names" "$dir/page"; }
# shellcheck disable=SC2317
figures() { awk -f "$root/tools/docs/figures.awk" "$dir/benchmarks.md" "$dir/page"; }
says() { # CHECK WORDS TEXT: of a page with TEXT, CHECK says WORDS (or nothing)
    local said
    printf '%s\n' "$3" >"$dir/page"
    said=$("$1")
    if [ -z "$2" ] && [ -n "$said" ] || ! grep -qF -- "$2" <<<"$said"; then
        printf '%s, of:\n%s\nsays "%s", not "%s"\n' "$1" "$3" "$said" "$2"
        bad=1
    fi
}

says words '' '`prismctl node join n1=10.0.0.1:6379@a n2 --role replica`'
says words 'no command node jion' '`prismctl node jion n1`'
says words 'no option --rule' '    prismctl node join n1 --rule replica'
says words 'takes ID or ID=HOST:PORT@ZONE, not HOST:PORT@ZONE' '  `prismctl node join HOST:PORT@ZONE --role replica`'
says words 'not 10.0.0.1:6379' '    docker compose run --rm tools prismctl node replace n1 10.0.0.1:6379'
says words '' '    prismctl vertex get 42          prismctl placement run --graph g --wait'
says words "${never}_NEVER is nowhere" "Set ${never}_NEVER."
says words $'link\tnowhere.md' '[here](nowhere.md#there "a title")'

to='benchmarks.md#x "memory for a routed vertex"'
says figures '' "[13.5 bytes]($to) and [1,024]($to)."
says figures 'does not have 12.8' "It takes [12.8 bytes]($to)."
says figures 'does not have 13' "It takes [13 bytes]($to)."
says figures 'no row begins with "memory"' '[13.5 bytes](benchmarks.md "memory")'
says figures 'is one line' $'[13.5\nbytes]('"$to)"
table=$'| stage | unit, measured |\n| --- | --- |\n| routes | '
says figures '' "${table}[13.5 bytes]($to) |"
says figures '' "${table}nothing stored |"
says figures 'links to no row: 13.5 bytes' "${table}13.5 bytes |"
exit "$bad"
