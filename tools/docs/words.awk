# words.awk PRISMCTL_HELP NAMES PAGE: prints "link<tab>path" for every relative
# link of the page, and "word<tab>complaint" for a command or option that
# prismctl does not have, a node that it does not take, and for a name of ours that
# the code does not have. Commands are looked for in backquotes and in code, fenced
# or indented.
FNR == 1 { file++; fence = 0 }
file == 1 && /^  [a-z]/ {
    key = ""
    for (i = 1; i <= NF && $i ~ /^[a-z][a-z-]*$/; i++)
        key = key (key == "" ? "" : " ") $i
    command[key] = $0
    group[$1] = 1
}
file == 2 { name[$1] = 1 }
file < 3 { next }
/^ *```/ { fence = !fence }
{
    line = $0
    while (match(line, /\]\([^)]+\)/)) {
        target = substr(line, RSTART + 2, RLENGTH - 3)
        line = substr(line, RSTART + RLENGTH)
        sub(/ ".*/, "", target)
        sub(/#.*/, "", target)
        if (target != "" && target !~ /^[a-z]+:/)
            print "link\t" target
    }
    line = $0
    while (match(line, /(PRISM|prism)_[A-Za-z0-9_]*/)) {
        word = substr(line, RSTART, RLENGTH)
        line = substr(line, RSTART + RLENGTH)
        bare = word
        sub(/_FILE$/, "", bare)
        if (word !~ /_$/ && !(word in name) && !(bare in name))
            print "word\t" FNR ": " word " is nowhere in the code"
    }
    line = $0
    while (match(line, fence || /^    / ? "(^|[ (`])prismctl " : "`prismctl ")) {
        line = substr(line, RSTART + RLENGTH)
        call(line)
    }
}
# The words of one call, up to what ends it.
function call(text,    n, word, i, key, bare) {
    sub(/[`|;#)>].*/, "", text)
    sub(/ prismctl .*/, "", text) # the next column's
    n = split(text, word, " ")
    for (i = 1; i <= n && word[i] ~ /^-/; i++)
        if (word[i] ~ /^(-o|--url|--token|--token-file)$/)
            i++
    if (i > n || word[i] !~ /^[a-z]/)
        return
    key = word[i]
    if (!(key in command))
        key = key " " word[++i]
    if (!(key in command)) {
        print "word\t" FNR ": prismctl has no command " key
        return
    }
    for (; i <= n; i++) {
        bare = word[i]
        sub(/=.*/, "", word[i])
        if (word[i] ~ /^--[a-z]/ && !index(command[key], "[" word[i] " ") &&
            !index(command[key], "[" word[i] "]"))
            print "word\t" FNR ": prismctl " key " has no option " word[i]
        else if (key ~ /^node (join|replace)$/ && bare ~ /^[^-=]*[:@]/)
            print "word\t" FNR ": prismctl " key " takes ID or ID=HOST:PORT@ZONE, not " bare
    }
}
