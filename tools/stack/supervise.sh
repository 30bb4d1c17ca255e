# shellcheck shell=bash
# Supervision with runit: one directory per server under DIR/sv; runsvdir starts
# a runsv for each, which restarts what dies; svlogd keeps its log in DIR/log.

# sv_define DIR NAME SCRIPT [down]: SCRIPT is the text of its run file.
# With "down" it waits for `sv up` instead of starting with the supervisor.
sv_define() {
    local dir=$1 name=$2 script=$3 final tmp
    final=$dir/sv/$name
    tmp=$dir/sv/.$name.new
    mkdir -p "$dir/log/$name"
    rm -rf "$tmp"
    mkdir -p "$tmp/log"
    printf '#!/bin/sh\nexec 2>&1\n%s\n' "$script" >"$tmp/run"
    printf '#!/bin/sh\nexec svlogd -tt %q\n' "$dir/log/$name" >"$tmp/log/run"
    printf 's4000000\nn5\n' >"$dir/log/$name/config"
    chmod 700 "$tmp/run" "$tmp/log/run"
    [ "${4:-}" != down ] || : >"$tmp/down"
    give "$tmp" "$dir/log/$name"
    if [ -d "$final" ]; then # keep the supervisor's own files
        mv "$tmp/run" "$final/run"
        mv "$tmp/log/run" "$final/log/run"
        rm -rf "$tmp"
    else # appears whole, or runsv would start a half-written one
        mv "$tmp" "$final"
    fi
}

sv_pid_file() { printf '%s\n' "$1/run/runsvdir.pid"; }

# The pid may have been given to somebody else since: look at what it runs.
sv_running() {
    local pid
    pid=$(cat "$(sv_pid_file "$1")" 2>/dev/null) || return 1
    [ -n "$pid" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "runsvdir -P $1/sv"
}

sv_names() { # every server and service of DIR
    local one
    for one in "$1"/sv/*/run; do
        [ -e "$one" ] && basename "$(dirname "$one")"
    done
    return 0
}

# Detached from the caller: own session, no open files of the caller's (a lock
# or a pipe that stays open here would keep the caller's waiting for ever).
sv_start() {
    local dir=$1
    if sv_running "$dir"; then
        return 0
    fi
    : >"$dir/log/runsvdir.log"
    give "$dir/log/runsvdir.log"
    (
        cd "$dir" || exit 1
        exec </dev/null >"$dir/log/runsvdir.log" 2>&1
        for fd in "/proc/$BASHPID/fd/"*; do
            fd=${fd##*/}
            [ "$fd" -le 2 ] || eval "exec $fd>&-"
        done
        export HOME=$dir
        if is_root; then
            exec setsid setpriv --reuid="$STACK_USER" --regid="$STACK_USER" --init-groups -- \
                runsvdir -P "$dir/sv"
        fi
        exec setsid runsvdir -P "$dir/sv"
    ) &
    printf '%s\n' "$!" >"$(sv_pid_file "$dir")"
    give "$(sv_pid_file "$dir")" # who runs the stack may ask whether it runs
    await 5 "runsvdir in $dir" sv_running "$dir"
}

sv_supervised() { # runsv is there and listens
    local dir=$1 name
    shift
    for name in "$@"; do
        [ -p "$dir/sv/$name/supervise/ok" ] || return 1
        sv status "$dir/sv/$name" >/dev/null 2>&1 || return 1
    done
}

sv_up() { # sv_up DIR NAME...
    local dir=$1 name
    shift
    await 15 "the supervisor of $* (log: $dir/log/runsvdir.log)" sv_supervised "$dir" "$@" || return 1
    for name in "$@"; do
        sv up "$dir/sv/$name" >/dev/null || return 1
    done
}

sv_down() { # sv_down DIR SECONDS NAME...: TERM; KILL when it does not end in time
    local dir=$1 wait_s=$2 name paths=()
    shift 2
    for name in "$@"; do
        [ ! -p "$dir/sv/$name/supervise/ok" ] || paths+=("$dir/sv/$name")
    done
    [ "${#paths[@]}" -eq 0 ] || sv -w "$wait_s" force-stop "${paths[@]}" >/dev/null 2>&1 || true
}

# sv_remove DIR NAME: stops it and its supervisor, and forgets it.
sv_remove() {
    local dir=$1 name=$2 gone=$1/sv/.$2.gone
    rm -rf "$gone"
    mv "$dir/sv/$name" "$gone" # out of the sight of runsvdir, or it would start it anew
    sv -w 20 force-shutdown "$gone" >/dev/null 2>&1 || true
    rm -rf "$gone"
}

# Ends the supervisors too. runsvdir goes first: it would start a runsv anew.
sv_stop() {
    local dir=$1 name paths=()
    if sv_running "$dir"; then
        kill -TERM "$(cat "$(sv_pid_file "$dir")")"
    fi
    rm -f "$(sv_pid_file "$dir")"
    for name in $(sv_names "$dir"); do
        if sv status "$dir/sv/$name" >/dev/null 2>&1; then
            paths+=("$dir/sv/$name")
        fi
    done
    [ "${#paths[@]}" -eq 0 ] || sv -w 20 force-shutdown "${paths[@]}" >/dev/null 2>&1 || true
}

# sv_state DIR NAME: "up 1234 56" (state, pid, seconds) or "down - 0".
sv_state() {
    local line
    line=$(sv status "$1/sv/$2" 2>/dev/null) || line=
    line=${line%%; run: log:*} # the logger has a pid too
    if [[ $line =~ ^run:.*\(pid\ ([0-9]+)\)\ ([0-9]+)s ]]; then
        printf 'up %s %s\n' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
    else
        printf 'down - 0\n'
    fi
}
