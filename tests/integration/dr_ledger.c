#include "dr_ledger.h"

#include "prism/io/bus.h"
#include "prism/v1/dr.pb-c.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BURST = 10, VALUE = 300, PACE_US = 4000, ASK_MS = 1500, PATIENCE_MS = 2500 };

struct line { /* a shard's */
    struct dr_shard_at at;
    char tag[16];
    redisContext *c; /* the writer's; NULL: down */
    size_t next_port;
    /* under mu */
    uint64_t written, offset; /* number of the newest entry, and where it ends, in */
    char replid[64];
    uint64_t acked;
};

static struct {
    struct line line[DR_LEDGER_SHARDS];
    size_t lines;
    int port[IT_MAX_NODES];
    size_t ports;
    const char *user, *password;
    struct pr_bus *bus;
    struct pr_rng rng;
    pthread_t writer, asker;
    bool running;
    atomic_bool stop;
    pthread_mutex_t mu;
    uint64_t refused;
    unsigned bucket; /* how often it was another one */
} ledger = { .mu = PTHREAD_MUTEX_INITIALIZER };

/* --- writing: no thread of these may fail the test ---------------------------------------------
 */

static redisContext *dial(int port)
{
    const struct timeval second = { 1, 0 };
    redisContext *c = redisConnectWithTimeout("127.0.0.1", port, second);
    if (c == NULL || c->err != 0 || redisSetTimeout(c, second) != REDIS_OK) {
        redisFree(c);
        return NULL;
    }
    redisReply *r = redisCommand(c, "AUTH %s %s", ledger.user, ledger.password);
    const bool in = r != NULL && r->type == REDIS_REPLY_STATUS;
    freeReplyObject(r);
    if (!in) {
        redisFree(c);
        return NULL;
    }
    return c;
}

static void hang_up(struct line *l)
{
    redisFree(l->c);
    l->c = NULL;
}

/* Does it own the shard's slots? If not, where to try next. */
static bool is_owner(struct line *l)
{
    redisReply *r = redisCommand(l->c, "LLEN {%s}log", l->tag);
    const bool owner = r != NULL && r->type == REDIS_REPLY_INTEGER;
    if (r != NULL && r->type == REDIS_REPLY_ERROR && strncmp(r->str, "MOVED ", 6) == 0)
        l->at.port = atoi(strrchr(r->str, ':') + 1);
    else if (!owner) /* whoever else may know */
        l->at.port = ledger.port[l->next_port++ % ledger.ports];
    freeReplyObject(r);
    return owner;
}

static bool reply_ok(redisContext *c, redisReply **out)
{
    void *r = NULL;
    const bool ok =
        redisGetReply(c, &r) == REDIS_OK && ((redisReply *)r)->type != REDIS_REPLY_ERROR;
    if (out != NULL && ok)
        *out = r;
    else
        freeReplyObject(r);
    return ok;
}

static bool read_history(const char *info, char replid[64], uint64_t *offset)
{
    const char *id = strstr(info, "master_replid:"), *at = strstr(info, "master_repl_offset:");
    if (id == NULL || at == NULL || sscanf(id, "master_replid:%63[0-9a-f]", replid) != 1)
        return false;
    *offset = strtoull(at + strlen("master_repl_offset:"), NULL, 10);
    return true;
}

static bool write_burst(struct line *l)
{
    char value[VALUE];
    redisReply *entry = NULL, *info = NULL;
    bool ok = true;
    for (size_t i = 0; i < VALUE; i++)
        value[i] = (char)pr_rng_below(&ledger.rng, 256);
    for (int i = 0; i < BURST; i++)
        redisAppendCommand(l->c, "SET {%s}k%d %b", l->tag, (int)pr_rng_below(&ledger.rng, 400),
                           value, (size_t)1 + pr_rng_below(&ledger.rng, VALUE));
    /* The next number, twice: in the stream that is a MULTI. */
    redisAppendCommand(l->c, "EVAL %s 2 {%s}count {%s}log",
                       "local n = redis.call('INCR', KEYS[1]) redis.call('RPUSH', KEYS[2], n) "
                       "return n",
                       l->tag, l->tag);
    redisAppendCommand(l->c, "INFO replication");
    for (int i = 0; ok && i < BURST; i++)
        ok = reply_ok(l->c, NULL);
    ok = ok && reply_ok(l->c, &entry) && reply_ok(l->c, &info);
    if (ok) {
        pthread_mutex_lock(&ledger.mu);
        l->written = (uint64_t)entry->integer;
        ok = read_history(info->str, l->replid, &l->offset);
        pthread_mutex_unlock(&ledger.mu);
    }
    freeReplyObject(entry);
    freeReplyObject(info);
    return ok;
}

static void *write_all(void *unused)
{
    (void)unused;
    while (!atomic_load(&ledger.stop)) {
        const struct timespec pace = { 0, PACE_US * 1000L };
        for (size_t i = 0; i < ledger.lines; i++) {
            struct line *l = &ledger.line[i];
            if (l->c == NULL && ((l->c = dial(l->at.port)) == NULL || !is_owner(l))) {
                if (l->c == NULL)
                    l->at.port = ledger.port[l->next_port++ % ledger.ports];
                hang_up(l);
            } else if (!write_burst(l))
                hang_up(l);
        }
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pace, NULL); /* a load, not as much as goes */
    }
    return NULL;
}

/* --- asking
 * ---------------------------------------------------------------------------------------- */

void dr_ledger_ask(const char *shard, const char *replid, uint64_t offset, uint32_t wait_ms,
                   struct dr_answer *out)
{
    Prism__V1__DrDurableRequest q = PRISM__V1__DR_DURABLE_REQUEST__INIT;
    uint8_t packed[256];
    void *reply = NULL;
    size_t n = 0;
    struct pr_err err = { 0 };
    *out = (struct dr_answer){ .reached = false };
    q.shard = (char *)(uintptr_t)shard;
    q.replid = (char *)(uintptr_t)replid;
    q.offset = offset;
    q.wait_ms = wait_ms;
    out->rc = pr_bus_request(ledger.bus, "prism.rpc.dr.durable", packed,
                             prism__v1__dr_durable_request__pack(&q, packed),
                             (int)wait_ms + PATIENCE_MS - ASK_MS, &reply, &n, &err);
    Prism__V1__DrDurableResponse *r =
        out->rc == PR_OK ? prism__v1__dr_durable_response__unpack(NULL, n, reply) : NULL;
    if (r != NULL) {
        out->reached = r->reached;
        out->offset = r->offset;
        (void)snprintf(out->replid, sizeof out->replid, "%s", r->replid);
        (void)snprintf(out->generation, sizeof out->generation, "%s", r->generation);
        (void)snprintf(out->why, sizeof out->why, "%s", r->why);
        prism__v1__dr_durable_response__free_unpacked(r, NULL);
    } else
        (void)snprintf(out->why, sizeof out->why, "%.199s", err.text);
    free(reply);
}

static void *ask_all(void *unused)
{
    (void)unused;
    for (size_t i = 0; !atomic_load(&ledger.stop); i = (i + 1) % ledger.lines) {
        struct line *l = &ledger.line[i];
        struct dr_answer a;
        char replid[64];
        pthread_mutex_lock(&ledger.mu);
        const uint64_t entry = l->written, offset = l->offset;
        memcpy(replid, l->replid, sizeof replid);
        const unsigned bucket = ledger.bucket;
        pthread_mutex_unlock(&ledger.mu);
        if (replid[0] == '\0')
            continue;
        dr_ledger_ask(l->at.id, replid, offset, ASK_MS, &a);
        pthread_mutex_lock(&ledger.mu);
        if (a.reached && bucket == ledger.bucket)
            l->acked = entry;
        ledger.refused += a.rc == PR_OK && !a.reached && strstr(a.why, "fail-over") != NULL;
        pthread_mutex_unlock(&ledger.mu);
    }
    return NULL;
}

void dr_ledger_history(int port, char replid[64], uint64_t *offset)
{
    redisContext *c = it_redis_admin(port);
    redisReply *r = redisCommand(c, "INFO replication");
    assert_true(r != NULL && r->str != NULL && read_history(r->str, replid, offset));
    freeReplyObject(r);
    redisFree(c);
}

/* --- from the test -------------------------------------------------------------------------------
 */

static void open_bus(void)
{
    struct pr_err err = { 0 };
    const struct pr_bus_options o = { .url = it_env("IT_NATS_URL"),
                                      .user = it_env("IT_METADATA_API_NATS_USER"),
                                      .password = it_env("IT_METADATA_API_NATS_PASSWORD"),
                                      .name = "ledger" };
    if (ledger.bus == NULL)
        assert_ok(pr_bus_open(&ledger.bus, &o, &err), &err);
}

void dr_ledger_start(uint64_t seed)
{
    struct dr_shard_at at[IT_MAX_NODES];
    open_bus();
    ledger.user = it_env("IT_REDIS_ADMIN_USER");
    ledger.password = it_env("IT_REDIS_ADMIN_PASSWORD");
    ledger.ports = it_redis_ports(ledger.port);
    if (ledger.lines == 0) {
        ledger.lines = dr_stage_shards(at);
        assert_in_range(ledger.lines, 1, DR_LEDGER_SHARDS);
        for (size_t i = 0; i < ledger.lines; i++) {
            ledger.line[i] = (struct line){ .at = at[i] };
            dr_stage_tag(&at[i], ledger.line[i].tag);
        }
    }
    pr_rng_init(&ledger.rng, seed);
    atomic_store(&ledger.stop, false);
    ledger.running = true;
    assert_int_equal(pthread_create(&ledger.writer, NULL, write_all, NULL), 0);
    assert_int_equal(pthread_create(&ledger.asker, NULL, ask_all, NULL), 0);
}

void dr_ledger_stop(void)
{
    if (!ledger.running)
        return;
    ledger.running = false;
    atomic_store(&ledger.stop, true);
    pthread_join(ledger.writer, NULL);
    pthread_join(ledger.asker, NULL);
    for (size_t i = 0; i < ledger.lines; i++)
        hang_up(&ledger.line[i]);
}

void dr_ledger_forget(void)
{
    pthread_mutex_lock(&ledger.mu);
    ledger.bucket++;
    for (size_t i = 0; i < ledger.lines; i++)
        ledger.line[i].acked = 0;
    pthread_mutex_unlock(&ledger.mu);
}

void dr_ledger_anew(void)
{
    ledger.lines = 0;
}

size_t dr_ledger_lines(struct dr_ledger_line out[DR_LEDGER_SHARDS])
{
    pthread_mutex_lock(&ledger.mu);
    for (size_t i = 0; i < ledger.lines; i++) {
        const struct line *l = &ledger.line[i];
        out[i] = (struct dr_ledger_line){ .written = l->written, .acked = l->acked };
        memcpy(out[i].shard, l->at.id, sizeof out[i].shard);
        memcpy(out[i].tag, l->tag, sizeof out[i].tag);
    }
    pthread_mutex_unlock(&ledger.mu);
    return ledger.lines;
}

uint64_t dr_ledger_acked(void)
{
    uint64_t n = 0;
    pthread_mutex_lock(&ledger.mu);
    for (size_t i = 0; i < ledger.lines; i++)
        n += ledger.line[i].acked;
    pthread_mutex_unlock(&ledger.mu);
    return n;
}

uint64_t dr_ledger_refused(void)
{
    pthread_mutex_lock(&ledger.mu);
    const uint64_t n = ledger.refused;
    pthread_mutex_unlock(&ledger.mu);
    return n;
}

static bool acked_so_many(void *ctx)
{
    return dr_ledger_acked() >= *(const uint64_t *)ctx;
}

void dr_ledger_await_acked(uint64_t more)
{
    uint64_t want = dr_ledger_acked() + more;
    if (!it_await(acked_so_many, &want, DR_AWAIT_MS)) {
        char rows[1024];
        dr_stage_text(rows, sizeof rows,
                      "SELECT string_agg(concat_ws(' ', shard_id, streaming, durable_offset, "
                      "seen_offset, error), '; ') FROM dr_shards");
        fail_msg("%llu entries are durable, wanted %llu: %s", (unsigned long long)dr_ledger_acked(),
                 (unsigned long long)want, rows);
    }
}

/* Entries are 1, 2, 3 ... without a hole, and as many as INCR counted: MULTI was not cut. */
static uint64_t entries_of(int port, const struct line *l)
{
    redisContext *c = redisConnect("127.0.0.1", port);
    redisReply *log = redisCommand(c, "LRANGE {%s}log 0 -1", l->tag);
    redisReply *count = redisCommand(c, "GET {%s}count", l->tag);
    assert_true(log != NULL && log->type == REDIS_REPLY_ARRAY && count != NULL);
    for (size_t i = 0; i < log->elements; i++)
        if (strtoull(log->element[i]->str, NULL, 10) != i + 1)
            fail_msg("shard %s: entry %zu is %s", l->at.id, i + 1, log->element[i]->str);
    const uint64_t n = log->elements;
    assert_true(count->str != NULL ? strtoull(count->str, NULL, 10) == n : n == 0);
    freeReplyObject(log);
    freeReplyObject(count);
    redisFree(c);
    return n;
}

size_t dr_ledger_shards(void)
{
    return ledger.lines;
}

const char *dr_ledger_shard(size_t i)
{
    return ledger.line[i].at.id;
}

uint64_t dr_ledger_acked_of(size_t i)
{
    pthread_mutex_lock(&ledger.mu);
    const uint64_t acked = ledger.line[i].acked;
    pthread_mutex_unlock(&ledger.mu);
    return acked;
}

uint64_t dr_ledger_entries(size_t i, const char *dir)
{
    pid_t pid;
    const int port = dr_stage_serve(dir, dr_ledger_shard(i), &pid);
    const uint64_t n = entries_of(port, &ledger.line[i]);
    it_kill(pid);
    return n;
}

static void check_digest(const struct line *l, const char *dir)
{
    char want[64], got[64];
    pid_t pid;
    const int port = dr_stage_serve(dir, l->at.id, &pid);
    dr_stage_digest(l->at.port, false, want);
    dr_stage_digest(port, true, got);
    assert_string_equal(want, got);
    it_kill(pid);
}

static void check_shard(size_t i, const char *dir, bool same)
{
    char out[2048];
    const uint64_t acked = dr_ledger_acked_of(i); /* before: it may go on */
    if (acked == 0)
        return;
    if (dr_stage_restore(dr_ledger_shard(i), dir, NULL, out, sizeof out) != 0)
        fail_msg("shard %s is not restored: %s", dr_ledger_shard(i), out);
    const uint64_t n = dr_ledger_entries(i, dir);
    if (n < acked)
        fail_msg("shard %s: %llu entries were said to be durable, %llu are there",
                 dr_ledger_shard(i), (unsigned long long)acked, (unsigned long long)n);
    if (same)
        check_digest(&ledger.line[i], dir);
}

void dr_ledger_check(int only, bool same)
{
    struct dr_shard_at at[IT_MAX_NODES];
    char dir[] = "/tmp/prism-dr-XXXXXX";
    assert_non_null(mkdtemp(dir));
    assert_int_equal(dr_stage_shards(at), ledger.lines);
    for (size_t i = 0; i < ledger.lines; i++) {
        if (only != DR_LEDGER_ALL && (size_t)only % ledger.lines != i)
            continue;
        if (!ledger.running) /* else the writer's */
            ledger.line[i].at = at[i];
        check_shard(i, dir, same);
    }
    const char *rm[] = { "/bin/rm", "-rf", dir, NULL };
    assert_int_equal(it_run(NULL, rm, NULL, 0, 20000), 0);
}
