# shellcheck shell=bash
# nats-server with JetStream; one user per service (nats-users.conf.in).

# nats_prepare DIR PORT TEMPLATE: sets nats_changed when the users did.
nats_prepare() {
    local dir=$1 port=$2 template=$3
    mkdir -p "$dir/nats/jetstream"
    cat >"$dir/nats/nats.conf" <<EOC
listen: "127.0.0.1:$port"
server_name: "prism-local"
pid_file: "$dir/run/nats.pid"
max_payload: 1MB
write_deadline: "10s"
jetstream { store_dir: "$dir/nats/jetstream", max_memory_store: 256MB, max_file_store: 8GB }
include "users.conf"
EOC
    fill_secrets "$dir" nats "$template" >"$dir/nats/users.new"
    nats_changed=no
    cmp -s "$dir/nats/users.new" "$dir/nats/users.conf" || nats_changed=yes
    mv "$dir/nats/users.new" "$dir/nats/users.conf"
    give "$dir/nats"
    sv_define "$dir" nats "exec nats-server -c '$dir/nats/nats.conf'"
}

# fill_secrets DIR KIND TEMPLATE: replaces @password:USER@ and, where a server
# stores hashes, @sha256:USER@.
fill_secrets() {
    local dir=$1 kind=$2 text user value
    text=$(grep -v '^[[:space:]]*#' "$3")
    while read -r user; do
        value=$(secret "$dir" "$kind-$user")
        text=${text//"@password:$user@"/$value}
        text=${text//"@sha256:$user@"/$(printf '%s' "$value" | sha256sum | cut -d' ' -f1)}
    done < <(grep -oE '@(password|sha256):[a-z-]+@' <<<"$text" | tr -d '@' | cut -d: -f2 | sort -u)
    printf '%s\n' "$text"
}

nats_ready() { # the greeting says whether JetStream is on
    local line
    line=$( (exec 3<>"/dev/tcp/127.0.0.1/$1" && head -n 1 <&3) 2>/dev/null) || return 1
    [[ $line == INFO*'"jetstream":true'* ]]
}
