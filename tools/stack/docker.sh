# shellcheck shell=bash
# A Docker engine and Compose v2 for the tests: what the machine has, else Debian's, kept in a
# directory of ours. Who sources this also has common.sh, packages.sh and mirror.sh.

PLUGINS=(compose buildx)

# docker_up DIR: sets DOCKER_HOST where the engine is ours, and DOCKER_CONFIG where the plugins are.
docker_up() {
    mkdir -p "$1"
    docker_engine "$1"
    docker_plugins "$1"
}

docker_engine() { # DIR
    local dir=$1
    docker_ours=
    if [ -z "${PRISM_DOCKER_OWN:-}" ] && docker_answers; then
        return 0
    fi
    command -v dockerd >/dev/null || ensure_packages "${PACKAGES_DOCKER[@]}"
    is_root || die "no Docker engine answers, and only root can start one"
    export DOCKER_HOST=unix://$dir/docker.sock
    docker_ours=$dir
    ! docker_answers || return 0
    setsid dockerd --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/docker.pid" \
        -H "$DOCKER_HOST" </dev/null >"$dir/dockerd.log" 2>&1 9>&- &
    await 60 "the Docker engine (log: $dir/dockerd.log)" docker_answers || exit 1
}
docker_answers() { docker info >/dev/null 2>&1; }

# docker_fresh DIR: an engine of ours that has no image and nothing built yet.
docker_fresh() {
    docker_ours=$1
    docker_down "$1" # what a test that was killed left
    docker_unmount "$1"
    rm -rf --one-file-system "${1:?}/data"
    PRISM_DOCKER_OWN=1
    docker_up "$1"
}

# An engine that was killed leaves its containers' file systems and network namespaces mounted.
docker_unmount() { # DIR
    local left mount
    left=$(findmnt -rno TARGET | grep -F "$1/" | sort -r) || return 0
    while read -r mount; do
        umount "$mount" || die "$mount is in use: end the containers of the engine that was killed"
    done <<<"$left"
}

# Only the engine that docker_engine started; what it has built stays for the next time.
docker_down() { # DIR
    local pid
    [ -n "${docker_ours:-}" ] || return 0
    pid=$(cat "$1/docker.pid" 2>/dev/null) || return 0
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] || return 0
    kill -TERM "$pid"
    await 60 "the Docker engine to stop" docker_gone "$pid"
}
docker_gone() { [ ! -e "/proc/$1" ] || [ "$(cut -d' ' -f3 "/proc/$1/stat" 2>/dev/null)" = Z ]; }

# Debian 12 has Compose v1 alone; Debian 13's packages of v2 need nothing but its libc.
docker_plugins() { # DIR
    local plugin missing=()
    for plugin in "${PLUGINS[@]}"; do
        docker "$plugin" version >/dev/null 2>&1 || missing+=("docker-$plugin")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    export DOCKER_CONFIG=$1/config
    mkdir -p "$DOCKER_CONFIG/cli-plugins"
    for plugin in "${missing[@]}"; do
        [ -x "$DOCKER_CONFIG/cli-plugins/$plugin" ] || docker_fetch "$1" "$plugin"
    done
    for plugin in "${PLUGINS[@]}"; do
        docker "$plugin" version >/dev/null || die "docker $plugin does not work"
    done
}

docker_fetch() ( # DIR PACKAGE; apt with a configuration of its own: the machine's stays as it is
    apt=$1/apt
    mkdir -p "$apt"/{lists/partial,cache/archives/partial}
    printf 'deb %s trixie main\n' "$(mirror)" >"$apt/sources.list"
    : >"$apt/status"
    cat >"$apt/apt.conf" <<EOC
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
APT::Sandbox::User "root";
EOC
    cd "$apt" || exit
    export APT_CONFIG=$apt/apt.conf
    { apt-get update -q && apt-get download -q "$2"; } >"$apt/log" 2>&1 || die "cannot fetch $2: see $apt/log"
    rm -rf "${apt:?}/$2"
    dpkg-deb -x "$apt/$2"_*.deb "$apt/$2"
    install -m 0755 "$apt/$2/usr/libexec/docker/cli-plugins/$2" "$DOCKER_CONFIG/cli-plugins/$2"
)
