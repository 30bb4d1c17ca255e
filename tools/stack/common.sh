# shellcheck shell=bash
# Shared by ./dev and tools/localstack: messages, users, secrets, ports, waiting.

say() { printf '%s\n' "$*" >&2; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}
is_root() { [ "$(id -u)" -eq 0 ]; }

# PostgreSQL refuses to run as root, and nothing else needs to: as root, every
# server and service runs as the system user "prism".
STACK_USER=prism
ensure_user() {
    if ! is_root; then
        STACK_USER=$(id -un)
    elif ! id -u "$STACK_USER" >/dev/null 2>&1; then
        useradd --system --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin \
            "$STACK_USER" || die "cannot create the system user $STACK_USER"
    fi
}
as_user() {
    if is_root; then
        setpriv --reuid="$STACK_USER" --regid="$STACK_USER" --init-groups -- "$@"
    else
        "$@"
    fi
}
give() { # to the user who runs the stack
    if is_root; then
        chown -R -h "$STACK_USER:$STACK_USER" "$@"
    fi
}

# Prints the real directory behind DIR, made if missing. When the stack's user
# cannot reach it (a checkout under /root), DIR becomes a link into /var/lib.
state_dir() {
    local dir=$1 parent real target
    parent=$(dirname "$dir")
    mkdir -p "$parent" || die "cannot make $parent"
    if [ ! -e "$dir" ] && [ ! -L "$dir" ]; then
        if as_user test -x "$(readlink -f "$parent")"; then
            mkdir -p "$dir"
        else
            real=$(readlink -f "$parent")/$(basename "$dir")
            target=/var/lib/prism-$(printf '%s' "$real" | cksum | cut -d' ' -f1)
            mkdir -p "$target"
            ln -sfn "$target" "$dir"
        fi
    fi
    real=$(readlink -f "$dir")
    mkdir -p "$real" || die "cannot make $real"
    printf '%s\n' "$real"
}

# secret DIR NAME: prints it; makes it on first use.
secret() {
    local file=$1/secrets/$2
    if [ ! -s "$file" ]; then
        mkdir -p "$1/secrets"
        head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$file.new"
        mv "$file.new" "$file"
    fi
    cat "$file"
}

# Ports in the LISTEN state, one a line (no tool beyond the base system needed).
listening_ports() {
    local file hex
    for file in /proc/net/tcp /proc/net/tcp6; do
        [ -r "$file" ] || continue
        while read -r hex; do
            printf '%d\n' "0x$hex"
        done < <(awk '$4 == "0A" { n = split($2, a, ":"); print a[n] }' "$file")
    done | sort -un
}
# first_taken PORT...: prints the first that somebody listens on; fails when none.
first_taken() {
    local port taken
    taken=$(listening_ports)
    for port in "$@"; do
        if grep -qx "$port" <<<"$taken"; then
            printf '%s\n' "$port"
            return 0
        fi
    done
    return 1
}

# await SECONDS WHAT COMMAND...: polls until COMMAND succeeds.
await() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            say "gave up waiting for $what"
            return 1
        fi
        sleep 0.05
    done
}
