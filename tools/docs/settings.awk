# --print-config as tab separated lines: name, what it takes, default, meaning.
#   # help
#   # integer, 0 to 65535 ms; default 10; secret, ...
#   NAME=value
BEGIN { RS = ""; FS = "\n" }
/^# Settings of [^\n]*$/ || /^Usage/ { next }
{
    if (NF != 3 || $1 !~ /^# / || $2 !~ /^# / || $3 !~ /^[A-Z][A-Z0-9_]*=/)
        exit bad = 1
    name = substr($3, 1, index($3, "=") - 1)
    n = split(substr($2, 3), part, "; ")
    takes = part[1]
    sub(/, 0 to [0-9]+ bytes$/, "", takes)
    preset = ""
    for (i = 2; i <= n; i++) {
        if (part[i] == "required")
            preset = "**required**"
        else if (part[i] ~ /^default /)
            preset = part[i] == "default empty" ? "empty" : "`" substr(part[i], 9) "`"
        else if (part[i] ~ /^secret/)
            takes = takes "; secret"
    }
    help = substr($1, 3)
    gsub(/\|/, "\\|", help)
    printf "%s\t%s\t%s\t%s\n", name, takes, preset, help
    found++
}
END { if (bad || !found) exit 1 }
