# The users of nats-users.conf.in as a table.
function flush(    what) {
    if (user == "")
        return
    if (may["publish"] == "" || may["subscribe"] == "")
        bad = 1
    printf "| `%s` | %s | %s | %s |\n", user, may["publish"], may["subscribe"], replies
    user = replies = ""
    delete may
    users++
}
BEGIN { print "| user | may publish | may subscribe | replies |\n| --- | --- | --- | --- |" }
{
    sub(/(^|[ \t])#.*/, "")
    while (match($0, /[a-z_]+:|"[^"]*"/)) {
        token = substr($0, RSTART, RLENGTH)
        $0 = substr($0, RSTART + RLENGTH)
        if (token ~ /:$/) {
            key = substr(token, 1, length(token) - 1)
            if (key == "user")
                flush()
            if (key == "publish" || key == "subscribe")
                side = key
            if (key == "allow_responses")
                replies = "to what it was asked"
            continue
        }
        token = substr(token, 2, length(token) - 2)
        if (key == "user")
            user = token
        else if (key == "allow") {
            if ((space = index(token, " ")) > 0)
                token = substr(token, 1, space - 1) "` (queue `" substr(token, space + 1) "`)"
            else
                token = token "`"
            may[side] = may[side] (may[side] == "" ? "" : "<br>") "`" token
        }
    }
}
END {
    flush()
    if (bad || !users)
        exit 1
}
