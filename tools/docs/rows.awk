# Rows of a .def file, MACRO(arg, "arg", ...) over any number of lines, as tab
# separated lines without the quotes. Fails on what is no row.
{ text = text $0 "\n" }
END {
    gsub(/\/\*([^*]|\*+[^*\/])*\*+\//, "", text)
    while (match(text, /[A-Z]+\(/)) {
        if (substr(text, 1, RSTART - 1) ~ /[^ \t\n]/)
            fail(substr(text, 1, RSTART - 1))
        line = substr(text, RSTART, RLENGTH - 1)
        text = substr(text, RSTART + RLENGTH)
        while (arg() == ",")
            line = line "\t" value
        print line "\t" value
    }
    if (text ~ /[^ \t\n]/)
        fail(text)
}
# Takes one argument off text into value, and the "," or ")" after it.
function arg(    end) {
    value = ""
    for (;;) {
        sub(/^[ \t\n]+/, "", text)
        if (text ~ /^[,)]/) {
            end = substr(text, 1, 1)
            text = substr(text, 2)
            return end
        }
        if (match(text, /^"([^"\\]|\\.)*"/))
            value = value unquote(substr(text, 2, RLENGTH - 2))
        else if (match(text, /^[A-Za-z0-9_.*+-]+/))
            value = value (value == "" ? "" : " ") substr(text, 1, RLENGTH)
        else
            fail(text)
        text = substr(text, RLENGTH + 1)
    }
}
function unquote(s) {
    gsub(/\\"/, "\"", s)
    return s
}
function fail(where) {
    print "rows.awk: not a row: " substr(where, 1, 60) >"/dev/stderr"
    exit 1
}
