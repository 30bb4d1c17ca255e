#include "slots_strike.h"

#include "t.h"

#include "prism/io/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { POLL_US = 300, ASK_PLAN_US = 300000, SKIP = 8, PROMOTE_MS = 60000, FAIL_OVER_MS = 6000 };

static void nap_us(long us)
{
    struct timespec t = { us / 1000000, us % 1000000 * 1000 };
    while (nanosleep(&t, &t) != 0 && errno == EINTR) {
    }
}

void slots_last(int ms)
{
    nap_us((long)ms * 1000);
}

/* --- the moment ---------------------------------------------------------------------- */

struct sides {
    redisContext *c[2]; /* to the primaries of source and target */
    int port[2];
    int64_t ask_us; /* next look at the plan */
};

static void sides_done(struct sides *w)
{
    redisFree(w->c[SLOTS_SOURCE]);
    redisFree(w->c[SLOTS_TARGET]);
    *w = (struct sides){ .ask_us = w->ask_us };
}

static bool sides_open(struct sides *w, const struct slots_plan *p)
{
    struct slots_shard shard[SLOTS_SHARDS];
    sides_done(w);
    slots_shards(shard);
    w->port[SLOTS_SOURCE] = shard[p->from].primary;
    w->port[SLOTS_TARGET] = shard[p->to].primary;
    for (int i = 0; i < 2; i++)
        if (w->port[i] == 0 || (w->c[i] = slots_dial(w->port[i])) == NULL)
            return false;
    return true;
}

/* The plan's end is asked for now and then; the cluster all the time. */
static bool still_on(struct sides *w, struct slots_plan *p)
{
    if (pr_mono_us() < w->ask_us)
        return true;
    w->ask_us = pr_mono_us() + ASK_PLAN_US;
    return !slots_plan_over(p);
}

/* A slot other than `not`. -1: none now. */
static int opened(struct sides *w, const struct slots_plan *p, int not )
{
    const int slot = w->c[0] == NULL ? -2 : slots_open_slot(w->c[SLOTS_SOURCE], true);
    if (slot == -2) {
        (void)sides_open(w, p);
        return -1;
    }
    return slot == not ? -1 : slot;
}

/* Follows the slot until that part of its keys is at the target, or all are. */
static bool half_way(struct sides *w, struct slots_strike *s, int slot, double part)
{
    const long left = slots_keys_in(w->c[SLOTS_SOURCE], slot);
    long moved = slots_keys_in(w->c[SLOTS_TARGET], slot);
    const long keys = left + moved;
    for (int i = 0; left >= 0 && moved >= 0 && i < 2000; i++) {
        if (moved > 0 && (double)moved >= part * (double)keys) {
            s->slot = slot;
            s->moved = moved;
            s->keys = keys;
            return moved < keys;
        }
        moved = slots_keys_in(w->c[SLOTS_TARGET], slot);
        if (moved >= keys)
            return false;
    }
    return false;
}

static bool await_open(struct sides *w, struct slots_strike *s, struct pr_rng *rng)
{
    long skip = (long)pr_rng_below(rng, SKIP);
    const double part = 0.05 + 0.9 * pr_rng_unit(rng);
    int last = -1;
    const int64_t end_us = pr_mono_us() + (int64_t)SLOTS_AWAIT_MS * 1000;
    while (still_on(w, s->plan) && pr_mono_us() < end_us) {
        const int slot = opened(w, s->plan, last);
        if (slot >= 0) {
            last = slot;
            if (skip-- <= 0 && half_way(w, s, slot, part))
                return true;
            continue;
        }
        nap_us(POLL_US);
    }
    return false;
}

bool slots_await_open(struct slots_strike *s, struct pr_rng *rng)
{
    struct sides w = { .ask_us = 0 };
    const bool ok = sides_open(&w, s->plan) && await_open(&w, s, rng);
    s->at_us = pr_mono_us();
    sides_done(&w);
    return ok;
}

void slots_start_open(struct slots_strike *s, struct slots_plan *p, struct pr_rng *rng)
{
    for (int tries = 0; tries < 10; tries++) {
        *s = (struct slots_strike){ .plan = p };
        slots_plan_start(p, rng, "{}");
        if (slots_await_open(s, rng))
            return;
        slots_plan_await(p, "done");
    }
    fail_msg("no slot was caught half way");
}

/* --- nodes ------------------------------------------------------------------------------ */

static void signal_node(int port, int what)
{
    char name[32];
    slots_server_name(port, name);
    const pid_t pid = it_server_pid(name);
    if (pid > 1)
        (void)kill(pid, what);
}

/* As the side that still runs says. */
static bool is_open(struct sides *w, const struct slots_strike *s)
{
    redisContext *other = w->c[1 - (int)s->side];
    const long keys = slots_keys_in(other, s->slot);
    return slots_open_slot(other, s->side == SLOTS_TARGET) == s->slot && keys > 0 && keys < s->keys;
}

bool slots_freeze(struct slots_strike *s, struct pr_rng *rng)
{
    struct sides w = { .ask_us = 0 };
    bool ok = sides_open(&w, s->plan);
    bool struck = false;
    while (ok && !struck && (ok = await_open(&w, s, rng))) {
        s->port = w.port[s->side];
        signal_node(s->port, SIGSTOP);
        s->at_us = pr_mono_us();
        struck = is_open(&w, s);
        if (!struck) /* just missed it */
            signal_node(s->port, SIGCONT);
    }
    s->shard = s->side == SLOTS_SOURCE ? s->plan->from : s->plan->to;
    sides_done(&w);
    return struck;
}

void slots_thaw(const struct slots_strike *s)
{
    signal_node(s->port, SIGCONT);
}

void slots_kill(const struct slots_strike *s)
{
    char name[32];
    slots_server_name(s->port, name);
    it_server_kill(name, true);
}

void slots_revive(const struct slots_strike *s)
{
    char name[32];
    slots_server_name(s->port, name);
    it_server_up(name);
}

static bool promoted(void *ctx)
{
    const struct slots_strike *s = ctx;
    struct slots_shard shard[SLOTS_SHARDS];
    slots_shards(shard);
    return shard[s->shard].primary != 0 && shard[s->shard].primary != s->port;
}

void slots_await_promoted(struct slots_strike *s)
{
    assert_true(it_await(promoted, s, PROMOTE_MS));
    s->promoted_us = pr_mono_us();
}

bool slots_fail_over(struct slots_strike *s, struct pr_rng *rng)
{
    struct sides w = { .ask_us = 0 };
    struct slots_shard shard[SLOTS_SHARDS];
    const int pick = (int)pr_rng_below(rng, SLOTS_SHARD_NODES - 1);
    slots_shards(shard);
    s->shard = s->side == SLOTS_SOURCE ? s->plan->from : s->plan->to;
    const struct slots_shard *h = &shard[s->shard];
    int replica[SLOTS_SHARD_NODES], n = 0;
    for (int k = 0; k < SLOTS_SHARD_NODES; k++)
        if (h->port[k] != h->primary)
            replica[n++] = h->port[k];
    redisContext *c = slots_dial(replica[pick]);
    bool ok = c != NULL && sides_open(&w, s->plan) && await_open(&w, s, rng);
    s->port = h->primary;
    s->at_us = pr_mono_us();
    redisReply *r = ok ? redisCommand(c, "CLUSTER FAILOVER") : NULL;
    ok = ok && r != NULL && r->type == REDIS_REPLY_STATUS;
    if (r != NULL)
        freeReplyObject(r);
    redisFree(c);
    sides_done(&w);
    /* Redis itself gives up now and then, soon after another fail-over. */
    ok = ok && it_await(promoted, s, FAIL_OVER_MS);
    s->promoted_us = pr_mono_us();
    return ok;
}

/* --- cutting the service off --------------------------------------------------------------- */

static atomic_int *cut;
static char cut_path[] = "/tmp/prism-cut-XXXXXX";

static void forget_cut(void)
{
    (void)unlink(cut_path);
}

const char *const *slots_cut_settings(void)
{
    static char preload[1024], setting[64];
    static const char *settings[3];
    if (settings[0] != NULL)
        return settings;
    const int fd = mkstemp(cut_path);
    assert_int_equal(atexit(forget_cut), 0);
    assert_true(fd >= 0 && ftruncate(fd, sizeof *cut) == 0);
    cut = mmap(NULL, sizeof *cut, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(cut != MAP_FAILED);
    close(fd);
    snprintf(setting, sizeof setting, "SLOTS_CUT=%s", cut_path);
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", SLOTS_CUT_LIBRARY);
    settings[0] = preload;
    settings[1] = setting;
    return settings;
}

void slots_cut(int port)
{
    (void)slots_cut_settings();
    atomic_store(cut, port);
}

/* --- mending -----------------------------------------------------------------------------------
 */

void slots_mend(void)
{
    int port[IT_MAX_NODES];
    const size_t n = it_redis_ports(port);
    if (cut != NULL)
        atomic_store(cut, 0);
    for (int i = 0; i < SLOTS_SERVICES; i++)
        if (slots_scene.runs[i])
            (void)kill(slots_scene.service[i].pid, SIGCONT);
    for (size_t i = 0; i < n; i++)
        signal_node(port[i], SIGCONT);
    it_server_up("postgres");
    it_server_up("nats");
    for (size_t i = 0; i < n; i++) {
        char name[32];
        slots_server_name(port[i], name);
        it_server_up(name);
        (void)slots_say(port[i], "CONFIG SET maxmemory 0");
    }
}
