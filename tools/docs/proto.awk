# Messages of .proto files: the comment above a message, its fields, and the
# comments beside or above them. Fails on what it does not know.
FNR == 1 { comment = oneof = "" }
{ sub(/[ \t]+$/, "") }
/^ *\/\// {
    line = $0
    sub(/^ *\/\/ ?/, "", line)
    comment = comment (comment == "" ? "" : " ") line
    next
}
/^(syntax|package|import|option) / { comment = ""; next }
/^$/ { comment = ""; next }
/^message [A-Za-z]+ \{\}?$/ {
    printf "\n### %s\n", $2
    if (comment != "")
        printf "\n%s\n", code(comment)
    comment = ""
    inside = $0 !~ /\}$/
    fields = 0
    next
}
inside && /^\}$/ { inside = 0; next }
inside && /^ +oneof [a-z_]+ \{$/ { oneof = $2; next } # its fields say so
oneof != "" && /^ +\}$/ { oneof = ""; next }
inside && /^ +(repeated )?[A-Za-z0-9_.]+ [a-z0-9_]+ = [0-9]+;/ {
    if (!fields++)
        print "\n| field | type | number | meaning |\n| --- | --- | --- | --- |"
    rest = $0
    sub(/^ +/, "", rest)
    type = ""
    if (rest ~ /^repeated /) {
        type = "repeated "
        sub(/^repeated /, "", rest)
    }
    split(rest, part, /[ ;]+/)
    meaning = comment
    if (match(rest, /\/\/ ?/))
        meaning = meaning (meaning == "" ? "" : " ") substr(rest, RSTART + RLENGTH)
    if (oneof != "")
        meaning = "one of `" oneof "`" (meaning == "" ? "" : ": ") meaning
    gsub(/\|/, "\\|", meaning)
    gsub(/</, "\\&lt;", meaning)
    printf "| `%s` | %s%s | %s | %s |\n", part[2], type, part[1], part[4], meaning
    comment = ""
    next
}
{
    print "proto.awk: " FILENAME ":" FNR ": " $0 >"/dev/stderr"
    exit 1
}
# A comment that begins with a subject: mark it as such.
function code(text) {
    if (match(text, /^prism\.[a-z.]+/))
        return "`" substr(text, 1, RLENGTH) "`" substr(text, RLENGTH + 1)
    return text
}
