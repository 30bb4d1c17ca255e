# figures.awk BENCHMARKS PAGE: a figure that a page takes from BENCHMARKS is a link
# there whose title is the first cell of the row that has it:
#   [13.5 bytes](../reference/benchmarks.md#look-ups-over-rest "memory for a routed vertex")
# Prints a complaint for a title that no row begins with, and for a number of the
# link's text that the row does not have; and, in a table with a column "unit,
# measured", for a figure there that is no such link.
FNR == 1 { file++ }
file == 1 && /^\|/ {
    first = $0
    sub(/^\| */, "", first)
    sub(/ *\|.*/, "", first)
    row[first] = row[first] " " $0
}
file < 2 { next }
{
    line = $0
    while (match(line, /\[[^][]*\]\([^() ]*benchmarks\.md[^() ]* "[^"]*"\)/)) {
        link(substr(line, RSTART, RLENGTH))
        line = substr(line, RSTART + RLENGTH)
    }
    if (line ~ /benchmarks\.md[^() ]* "/)
        print FNR ": a link with a title is one line, of text without brackets"
}
!/^\|/ { column = 0 }
/^\|/ {
    n = split($0, cell, "|")
    for (i = 2; i < n && column == 0; i++)
        if (cell[i] ~ /^ *unit, measured *$/)
            column = i
    if (column > 0 && cell[column] ~ /[0-9]/ && cell[column] !~ /benchmarks\.md[^() ]* "/)
        print FNR ": a figure that links to no row:" cell[column]
}
function link(text,    title, n, i, number) {
    title = text
    sub(/^.* "/, "", title)
    sub(/"\)$/, "", title)
    if (!(title in row)) {
        print FNR ": no row begins with \"" title "\""
        return
    }
    sub(/^\[/, "", text)
    sub(/\]\(.*/, "", text)
    n = split(text, number, /[^0-9.,]+/)
    for (i = 1; i <= n; i++) {
        sub(/[.,]+$/, "", number[i])
        if (number[i] ~ /[0-9]/ && row[title] !~ token(number[i]))
            print FNR ": the row \"" title "\" does not have " number[i]
    }
}
# As a whole: 13 is not in 13.5 or 213.
function token(number) {
    gsub(/\./, "[.]", number)
    return "(^|[^0-9.,])" number "([^0-9.,]|[.,]+([^0-9]|$)|$)"
}
