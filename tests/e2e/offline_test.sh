#!/usr/bin/env bash
# The commands of prism-placement that need no server, as a user runs them: what
# they print and write, and that bad input gives a right result or one clear
# line, never a crash, a hang or half a file.
set -euo pipefail
export LC_ALL=C
bin=$(realpath "${1:?usage: offline_test.sh BIN_DIR SOURCE_DIR}")
source=$(realpath "${2:?usage: offline_test.sh BIN_DIR SOURCE_DIR}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

fail() {
    printf 'offline_test: %s\n' "$*" >&2
    exit 1
}
placement() { timeout 60 "$bin/prism-placement" "$@"; }
json() { placement "$@" --quiet -o json >out.json || fail "$* failed"; }
is() { jq -e "$1" out.json >/dev/null || fail "not so: $1 in $(jq -c . out.json)"; }

# refused STATUS TEXT COMMAND...: exactly that status, one line on standard
# error (two when the command line is wrong) that says TEXT, nothing else.
refused() {
    local status=$1 text=$2 rc=0 lines=1
    shift 2
    placement "$@" >out 2>err || rc=$?
    [ "$rc" = "$status" ] || fail "$*: exit $rc, want $status: $(cat err)"
    [ "$status" != 2 ] || lines=2
    [ "$(wc -l <err)" = "$lines" ] || fail "$*: want $lines lines: $(cat err)"
    grep -qF -- "$text" err || fail "$*: \"$(cat err)\" does not say \"$text\""
    [ ! -s out ] || fail "$*: printed $(cat out)"
    [ ! -e made ] || fail "$*: left a file"
    [ -z "$(find . -name 'made*')" ] || fail "$*: left $(find . -name 'made*')"
}

# Every vertex once, zones below K, and none above its share by more than R.
check_assignment() { # FILE VERTICES ZONES IMBALANCE
    awk -v n="$2" -v k="$3" -v over="$4" '
        NF != 3 || $0 ~ /[^0-9 ]/ || seen[$1]++ || $3 >= k { print "bad line: " $0; bad = 1 }
        { load[$3]++ }
        END {
            if (NR != n) { print NR " lines, want " n; bad = 1 }
            even = n / k
            most = int(even * (1 + over) + 1e-9)
            if (most < even) most = int(even) + (even > int(even))
            for (z in load) if (load[z] > most) { print "zone " z " holds " load[z]; bad = 1 }
            exit bad }' "$1" || fail "$1 is no assignment"
}

groups() { # three dense groups of SIZE, tied in a ring
    awk -v size="$1" 'BEGIN {
        for (g = 0; g < 3; g++) {
            for (i = 0; i < size; i++)
                for (j = i + 1; j < size && j < i + 6; j++) print g * size + i, g * size + j
            print g * size, (g + 1) % 3 * size + 1
        } }'
}

good_input() {
    groups 100 >g.txt
    json run --graph g.txt --zones 3 --out a.txt
    is '.vertices == 300 and .mode == "full" and .imbalance <= 0.05 and .cut_weight < 30'
    is '.seconds | has("load") and has("build") and has("partition")'
    is '.peak_bytes > 0 and .moved_ratio == 0 and (.modularity > 0.5) and .random_ratio > 0.6'
    check_assignment a.txt 300 3 0.05
    json run --graph g.txt --threads 1 --out b.txt
    cmp a.txt b.txt || fail "the result depends on the number of threads"
    placement run --graph g.txt | grep -q '^cut_ratio ' || fail "no table"

    json evaluate --graph g.txt --assignment a.txt
    is '.zone_count == 3 and .imbalance <= 0.05 and (.matrix | length) == 3'
    local cut
    cut=$(jq .cut_weight out.json)
    awk 'NR == FNR { zone[$1] = $3; next } zone[$1] != zone[$2] { cut++ } END { print cut + 0 }' \
        a.txt g.txt >counted
    [ "$(cat counted)" = "$cut" ] || fail "cut $cut, counted $(cat counted)"

    json explain --graph g.txt --assignment a.txt 0
    is '.vertex == "0" and .neighbors >= 5 and (.zones | length) == 3 and (.why | length) > 10'

    local estimate # partitions are part of it
    json run --graph g.txt --threads 1
    estimate=$(jq .estimate_bytes out.json)
    json run --graph g.txt --threads 1 --zones 3 --parts 60
    is ".estimate_bytes > $estimate + 20000"
    json run --graph g.txt --zones 3 --parts 12 --out p.txt
    is '.parts.count == 12 and .parts.heaviest <= 30'
    awk '{ if (($2 in zone) && zone[$2] != $3) exit 1; zone[$2] = $3 }' p.txt ||
        fail "a partition in two zones"

    for name in c.bin32 c.bin64 c.metis c.txt.xz c.txt.gz c.txt.zst; do
        json convert --graph g.txt --out "$name"
        json run --graph "$name" --out c.out.zst
        is '.vertices == 300 and .imbalance <= 0.05'
        zstd -qdcf c.out.zst >c.out
        check_assignment c.out 300 3 0.05
    done

    json communities --graph g.txt --out com.txt
    is '.communities >= 3 and .modularity > 0.6 and .estimate_bytes > 10000'
    json communities --graph g.txt --method louvain --max-size 20
    is '.largest <= 20'
    json evaluate --graph g.txt --assignment com.txt
    is '.modularity > 0.6'
}

# 1 % more edges: few moves; fixed vertices and capacities are kept to.
warm_and_wishes() {
    (cat g.txt && awk 'BEGIN { srand(3); for (i = 0; i < 15; i++)
        print int(rand() * 300), int(rand() * 300) }') >g2.txt
    json run --graph g2.txt --warm a.txt --move-price 0.5 --out w.txt
    is '.mode == "warm" and .moved_ratio <= 0.01'
    json run --graph g2.txt --warm a.txt --move-cap 0 --out w.txt
    is '.moved == 0'
    json evaluate --graph g2.txt --assignment w.txt --before a.txt
    is '.moves.vertices == 0'
    json run --graph g2.txt --warm a.txt --reference 0.0001
    is '.full_cut_weight != null'
    json run --graph g2.txt --warm p.txt --parts 12
    is '.parts.kept and .moved_ratio <= 0.01'

    # Without partitions today, or with other ones, they are made anew, and even.
    json run --graph g2.txt --warm a.txt --parts 12 --out w.txt
    is '.mode == "warm" and (.parts.kept | not) and .parts.heaviest <= 28 and .parts.imbalance < 0.1'
    is '.moved_ratio <= 0.1 and (.parts.stretched | not)'
    json run --graph g2.txt --warm p.txt --parts 30
    is '(.parts.kept | not) and .parts.heaviest <= 13'
    awk '{ if ($2 == 1 && $1 % 3 == 0) $2 = 0; print }' p.txt >p2.txt
    json run --graph g2.txt --warm p2.txt --parts 12
    is '.parts.kept and .parts.heaviest <= 28'

    awk '{ print $2, ($3 + 1) % 3 }' p.txt | sort -u | head -n 1 >parts # a partition to another zone
    json run --graph g2.txt --warm p.txt --parts 12 --imbalance 0.5 --fixed-parts parts --out w.txt
    is '.parts.kept'
    awk 'FILENAME == "parts" { zone[$1] = $2 }
         FILENAME == "p.txt" && ($2 in zone) { want[$1] = zone[$2]; part[$1] = $2; n++ }
         FILENAME == "w.txt" && ($1 in want) && (want[$1] != $3 || part[$1] != $2) { exit 1 }
         END { if (n < 20) exit 1 }' parts p.txt w.txt || fail "a fixed partition is elsewhere"

    printf '5 c\n205 0\n# nobody else\n' >fixed
    json run --graph g.txt --capacity a=1,b=1,c=0.5 --fixed fixed --out f.txt
    is '.imbalance <= 0.05 and .zones[2].capacity == 63'
    if ! grep -qx '5 2 2' f.txt || ! grep -qx '205 0 0' f.txt; then
        fail "fixed vertices are elsewhere"
    fi
}

odd_graphs() {
    printf '1 1\n1 2\n2 1\n1 2\n3 4\n5 5\n6 7\n' >loops.txt # loops, duplicates, a lone vertex
    json run --graph loops.txt --out o.txt
    is '.vertices == 7 and .edges == 3 and .edge_weight == 5'
    check_assignment o.txt 7 3 0.05

    awk 'BEGIN { for (i = 1; i <= 3000; i++) print 0, i }' >star.txt
    json run --graph star.txt --out o.txt
    check_assignment o.txt 3001 3 0.05

    awk 'BEGIN { for (i = 0; i < 1000; i++) print i, i }' >alone.txt # a component a vertex
    json run --graph alone.txt --out o.txt
    is '.edges == 0 and .cut_ratio == 0 and .vertices == 1000'
    check_assignment o.txt 1000 3 0.05
    json communities --graph alone.txt
    is '.communities == 1000'

    printf '4 3 10\n3 2\n1 1 3\n1 2 4\n5 3\n' >weighty.metis # weights 3, 1, 1, 5
    printf '1 0 0\n2 0 0\n3 1 1\n4 1 1\n' >weighty.assign
    json explain --graph weighty.metis --assignment weighty.assign 1 --capacity a=1,b=1
    is '.weight == 3 and .zones[0].weight == 4 and .zones[1].weight == 6 and .zones[1].capacity == 5'

    printf '1 4294967294 0\n2 4294967294 0\n3 7 1\n4 7 1\n' >far.assign # labels take no memory
    json evaluate --graph weighty.metis --assignment far.assign
    is '.parts.count == 2 and .parts.cut_weight == 1 and .peak_bytes < 1e9'
    awk '{ print $1, $2, "-" }' far.assign >far2.assign
    json evaluate --graph weighty.metis --assignment far2.assign
    is '.zone_count == 2 and .cut_weight == 1'

    printf '18446744073709551615 0\n18446744073709551615 9223372036854775808\n7 0\n' >ids.txt
    json run --graph ids.txt --zones 2 --out o.txt
    grep -q '^18446744073709551615 ' o.txt || fail "an id is lost"
    check_assignment o.txt 4 2 0.05
    json explain --graph ids.txt --assignment o.txt 18446744073709551615
    is '.neighbors == 2'
}

bad_input() {
    refused 1 'missing.txt' run --graph missing.txt --out made
    : >empty.txt
    refused 1 'empty graph' run --graph empty.txt --out made
    printf '1 2\n3 -4\n' >negative.txt
    refused 1 'line 2' run --graph negative.txt --out made
    printf '1 2\n18446744073709551616 3\n' >large.txt
    refused 1 'line 2' run --graph large.txt --out made
    printf '1 2 0\n' >zero.txt
    refused 1 'line 1' run --graph zero.txt --out made
    printf '1 2 99999999999\n' >heavy-edge.txt
    refused 1 'line 1' run --graph heavy-edge.txt --out made
    printf '1 2 4000000000\n2 1 4000000000\n1 3 1\n' >overflow.txt
    refused 1 'weight' run --graph overflow.txt --out made
    printf '1 2\n' >two.txt
    refused 1 'more zones (3) than vertices (2)' run --graph two.txt --out made

    printf '3 2 10\n9 2\n1 1 3\n1 2\n' >heavy.metis # vertex weights 9, 1, 1
    refused 1 'more than the largest zone may hold' run --graph heavy.metis --out made
    printf '3 2 10\n0 2\n0 1 3\n0 2\n' >weightless.metis
    refused 1 'weight' run --graph weightless.metis --out made
    awk 'BEGIN { for (i = 0; i < 200; i++) print i, 0 }' >all-a
    refused 1 'fixed to zone 0 do not fit' run --graph g.txt --fixed all-a --out made
    refused 1 'none of 2 zones has capacity' run --graph g.txt --capacity a=0,b=0 --out made
    printf '1 c\n' >fixed
    refused 1 'fixed to zone 2, which has no capacity' run --graph g.txt \
        --capacity a=1,b=1,c=0 --fixed fixed --out made
    printf '1 nowhere\n' >fixed
    refused 1 'nowhere' run --graph g.txt --warm p.txt --parts 12 --fixed-parts fixed --out made
    refused 2 'needs --warm' run --graph g.txt --fixed-parts fixed --out made
    refused 1 'has no partitions' run --graph g.txt --warm a.txt --parts 12 --fixed-parts fixed --out made
    printf '99 a\n' >parts
    refused 1 'partition 99 is not in' run --graph g.txt --warm p.txt --parts 12 \
        --capacity a=1,b=1,c=1 --fixed-parts parts --out made
    refused 1 'nowhere' run --graph g.txt --fixed fixed --out made
    printf '1 2\nx\n' >bad.assign
    refused 1 'line 1' evaluate --graph g.txt --assignment bad.assign
    head -n 299 a.txt >short.txt
    refused 1 'names 299 of 300 vertices' evaluate --graph g.txt --assignment short.txt
    refused 1 'is not in' explain --graph two.txt --assignment a.txt 7

    for pack in xz gzip zstd; do
        $pack -c <g.txt | head -c 400 >"cut.$pack"
        refused 1 "cut.$pack" run --graph "cut.$pack" --out made
    done
    head -c 5 c.bin64 >odd.bin64
    refused 1 'odd.bin64' run --graph odd.bin64 --out made

    refused 1 'the budget is 1 MiB' run --graph "$source/tests/data/ego-twitter.txt.xz" \
        --memory 1 --out made
    refused 1 'nowhere/made' run --graph g.txt --out nowhere/made
    refused 1 'full' convert --graph g.txt --out /dev/full --format bin64
    refused 2 '--zones' run --graph g.txt --zones 0 --out made
    refused 2 'unknown option' run --graph g.txt --zone 3 --out made
    refused 2 '--graph' run --out made
    local rc=0
    placement nonsense >out 2>err || rc=$?
    [ "$rc" = 2 ] || fail "an unknown command ends with $rc"
    rc=0
    placement run --graph g.txt -o json >/dev/full 2>err || rc=$?
    [ "$rc" = 1 ] || fail "a full standard output ends with $rc: $(cat err)"
}

# However far it is: it ends within a second, and nothing is left.
interrupted() {
    local pid rc after
    for after in load build partition; do
        rc=0
        timeout 60 "$bin/prism-placement" run --graph "$source/tests/data/road-NY.txt.xz" \
            --seeds 1000 --zones 64 --progress --out made >/dev/null 2>progress &
        pid=$!
        while ! grep -q "^$after" progress; do
            kill -0 "$pid" 2>/dev/null || fail "it ended before it could be interrupted"
        done
        SECONDS=0
        kill -INT "$pid" # timeout passes it on
        wait "$pid" || rc=$?
        [ "$rc" = 130 ] || fail "interrupted at $after: exit $rc"
        [ "$SECONDS" -le 2 ] || fail "interrupted at $after: took $SECONDS s"
        [ -z "$(find . -name 'made*')" ] || fail "interrupted: left $(find . -name 'made*')"
        tail -n 1 progress | grep -q 'interrupted' || fail "not told: $(tail -n 1 progress)"
    done
}

good_input
warm_and_wishes
odd_graphs
bad_input
interrupted
echo "offline commands: all as they should be"
