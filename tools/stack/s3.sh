# shellcheck shell=bash
# An S3 server for tests and the local stack: Ceph's radosgw over one monitor and one OSD, all of
# Debian. About 7 s to make, 3 to start again. It checks signatures, checksums and preconditions
# as S3 does. Who sources this also has common.sh.
# Eight ports: PORT http, +1 https with an authority of its own, +2 the monitor, +3... the OSD's.

# shellcheck disable=SC2034 # used by tests/support/s3.sh
S3_PORTS=8
S3_BUCKETS=(prism prism-other)
S3_ACCESS=PRISMTESTACCESSKEY00
S3_SECRET=prism+test/secret+key/0123456789abcdefgh

# s3_start DIR PORT memory|disk RUN OWN: makes the server in DIR, starts it, waits for it and makes
# user and buckets; of one that was made before, only starts it. In memory it is gone when it stops.
# `RUN DIR mon|osd|rgw COMMAND...` has to start a process and to return; `OWN DIR` gives files to
# whoever runs them.
s3_start() {
    local dir=$1 port=$2 store=$3 run=$4 own=$5
    s3_programs
    if [ ! -e "$dir/made" ]; then
        find "$dir" -mindepth 1 -delete # what an earlier start, cut short, left
        s3_make_monitor "$dir" "$port" "$store"
    fi
    "$own" "$dir"
    "$run" "$dir" mon ceph-mon -c "$dir/ceph.conf" -i a
    if [ ! -e "$dir/made" ]; then
        s3_make_osd "$dir"
        "$own" "$dir"
    fi
    s3_run_osd "$dir" "$run"
    "$run" "$dir" rgw radosgw -c "$dir/ceph.conf" -n client.rgw
    if [ ! -e "$dir/made" ]; then
        s3_make_user "$dir"
        await 60 "radosgw" s3_answers "$port" || die "see $dir/log"
        s3_make_buckets "http://127.0.0.1:$port"
        : >"$dir/made"
    else
        await 60 "radosgw" s3_answers "$port" || die "see $dir/log"
    fi
}

s3_programs() {
    local need
    for need in ceph-mon ceph-osd radosgw radosgw-admin ceph monmaptool openssl curl; do
        command -v "$need" >/dev/null || die "$need is missing (Debian: ceph-mon ceph-osd radosgw)"
    done
}

# How to reach it, as NAME=VALUE lines.
s3_env() { # DIR PORT
    echo "IT_S3_URL=http://127.0.0.1:$2"
    echo "IT_S3_TLS_URL=https://127.0.0.1:$(($2 + 1))"
    echo "IT_S3_TLS_PORT=$(($2 + 1))"
    echo "IT_S3_CA_FILE=$1/tls/ca.pem"
    echo "IT_S3_REGION=us-east-1"
    echo "IT_S3_BUCKET=${S3_BUCKETS[0]}"
    echo "IT_S3_OTHER_BUCKET=${S3_BUCKETS[1]}"
    echo "IT_S3_ACCESS=$S3_ACCESS"
    echo "IT_S3_SECRET=$S3_SECRET"
}

s3_answers() { curl -s -o /dev/null -m 2 --noproxy '*' "http://127.0.0.1:$1/"; }

s3_make_monitor() { # DIR PORT memory|disk
    local dir=$1 port=$2 store=$3 fsid
    mkdir -p "$dir"/{run,log,tls,mon,osd,rgw}
    s3_make_certificate "$dir"
    fsid=$(cat /proc/sys/kernel/random/uuid)
    s3_write_conf "$dir" "$port" "$fsid"
    "s3_conf_$store" >>"$dir/ceph.conf"
    monmaptool --create --fsid "$fsid" --addv a "[v1:127.0.0.1:$((port + 2))]" "$dir/monmap" \
        >"$dir/log/monmap.log" 2>&1 || die "monmaptool: see $dir/log/monmap.log"
    ceph-mon -c "$dir/ceph.conf" --mkfs -i a --monmap "$dir/monmap" || die "ceph-mon --mkfs failed"
}

# Its own authority, and a certificate of the names that tests use.
s3_make_certificate() { # DIR
    (
        cd "$1/tls"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
            -subj "/CN=prism test authority" -keyout ca.key -out ca.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
            -subj "/CN=localhost" -keyout server.key -out server.csr
        printf 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:prism.localhost\n' >server.ext
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 \
            -extfile server.ext -out server.crt
        cat server.crt server.key >server.pem
    ) >"$1/log/tls.log" 2>&1 || die "openssl: see $1/log/tls.log"
}

s3_write_conf() { # DIR PORT FSID
    local dir=$1 port=$2 fsid=$3
    cat >"$dir/ceph.conf" <<EOC
[global]
fsid = $fsid
mon_host = [v1:127.0.0.1:$((port + 2))]
mon_initial_members = a
public_addr = 127.0.0.1
ms_bind_msgr2 = false
ms_bind_ipv6 = false
ms_bind_port_min = $((port + 3))
ms_bind_port_max = $((port + 7))
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
auth_allow_insecure_global_id_reclaim = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
mon_max_pg_per_osd = 4000
mon_allow_pool_size_one = true
mon_data_avail_crit = 1
paxos_propose_interval = 0.05
osd_crush_chooseleaf_type = 0
run_dir = $dir/run
admin_socket = $dir/run/\$name.asok
pid_file = $dir/run/\$name.pid
log_file = $dir/log/\$name.log
crash_dir = $dir/run
log_to_stderr = false
mon_cluster_log_to_file = false
keyring = $dir/keyring
[mon.a]
mon_data = $dir/mon
mon_addr = 127.0.0.1:$((port + 2))
[client]
[client.rgw]
rgw_data = $dir/rgw
rgw_frontends = beast endpoint=127.0.0.1:$port ssl_endpoint=127.0.0.1:$((port + 1)) ssl_certificate=$dir/tls/server.pem tcp_nodelay=1
rgw_dns_name = localhost
rgw_thread_pool_size = 32
rgw_enable_usage_log = false
rgw_enable_ops_log = false
rgw_run_sync_thread = false
rgw_enable_gc_threads = true
rgw_gc_obj_min_wait = 5
rgw_gc_processor_period = 10
[osd.0]
osd_data = $dir/osd
osd_op_num_shards = 2
osd_op_num_threads_per_shard = 1
osd_class_dir = $(s3_class_dir)
EOC
}
# Debian 13's OSD looks for its classes below the directory that it was started in.
s3_class_dir() { dirname "$(printf '%s\n' /usr/lib/*/rados-classes/libcls_rgw.so | head -n 1)"; }
s3_conf_memory() { # 4 GiB at most
    printf '%s = %s\n' osd_objectstore memstore memstore_device_bytes 4294967296 \
        osd_memory_target 1073741824
}
s3_conf_disk() { # one file that grows, to 16 GiB at most
    printf '%s = %s\n' osd_objectstore bluestore bluestore_block_size 17179869184 \
        bluestore_block_create true osd_memory_target 939524096
}

s3_ceph() { # DIR ARGS...
    local dir=$1
    shift
    timeout 60 ceph -c "$dir/ceph.conf" "$@" >>"$dir/log/ceph.log" 2>&1
}

s3_make_osd() { # DIR
    local dir=$1 fsid
    fsid=$(cat /proc/sys/kernel/random/uuid)
    await 30 "the monitor" s3_ceph "$dir" osd new "$fsid" || die "see $dir/log"
    ceph-osd -c "$dir/ceph.conf" -i 0 --mkfs --osd-uuid "$fsid" >"$dir/log/osd-mkfs.log" 2>&1 ||
        die "ceph-osd --mkfs: see $dir/log"
}

# An OSD that asks its monitor before it has learnt the cluster's id is refused ("wrong fsid") and ends:
# then once more.
s3_run_osd() { # DIR RUN
    local try
    for ((try = 0; try < 6; try++)); do
        pgrep -f "^ceph-osd -c $1/ceph.conf" >/dev/null ||
            "$2" "$1" osd ceph-osd -c "$1/ceph.conf" -i 0
        await 10 "the OSD" s3_osd_settled "$1" || true
        if s3_osd_up "$1"; then
            return
        fi
    done
    die "the OSD does not come up: see $1/log"
}
s3_osd_up() { timeout 10 ceph -c "$1/ceph.conf" osd stat 2>/dev/null | grep -q ' 1 up'; }
s3_osd_settled() { s3_osd_up "$1" || ! pgrep -f "^ceph-osd -c $1/ceph.conf" >/dev/null; }

s3_make_user() { # DIR
    timeout 60 radosgw-admin -c "$1/ceph.conf" user create --uid=prism --display-name=prism \
        --access-key="$S3_ACCESS" --secret-key="$S3_SECRET" >"$1/log/user.log" 2>&1 ||
        die "radosgw-admin: see $1/log/user.log"
}

s3_make_buckets() { # URL
    local bucket
    for bucket in "${S3_BUCKETS[@]}"; do
        curl -fsS -m 30 --noproxy '*' -o /dev/null -X PUT "$1/$bucket" \
            --user "$S3_ACCESS:$S3_SECRET" --aws-sigv4 aws:amz:us-east-1:s3 \
            -H "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" ||
            die "cannot make bucket $bucket"
    done
}
