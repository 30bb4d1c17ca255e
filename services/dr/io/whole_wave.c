#include "io/whole_private.h"

#include "io/ahead.h"
#include "io/each.h"
#include "io/room.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>

/* --- how many -----------------------------------------------------------------------------------
 */

/* Of the generation that a restore begins with; how far it goes is about where its last piece ends.
 */
static struct dr_load load_of(const struct dr_index_shard *s, int64_t until_ms)
{
    struct dr_load l = { .base = 0 };
    const size_t at = dr_generation_choose(s->g, s->n, NULL, until_ms);
    if (at == SIZE_MAX)
        return l;
    const struct dr_generation *g = &s->g[at];
    uint64_t to = g->offset;
    for (size_t i = 0; i < g->parts; i++)
        l.base += g->part[i].bytes;
    for (size_t i = 0; i < s->pieces.n; i++) {
        const struct dr_piece *p = &s->pieces.piece[i].piece;
        if (dr_generation_compare(&p->generation, &g->id) == 0 && p->first_ms <= until_ms &&
            p->to > to)
            to = p->to;
    }
    l.stream = to - g->offset;
    return l;
}

enum pr_code dr_wave_begin(struct dr_whole_run *r, struct pr_err *err)
{
    const size_t first = r->out->first, n = r->out->last - first;
    struct dr_load *load = calloc(n + 1, sizeof *load);
    struct dr_room room;
    if (load == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %zu shards", n);
    for (size_t i = 0; i < n; i++)
        load[i] = load_of(&r->index.shard[first + i], r->w->until_ms);
    enum pr_code rc = dr_room_look(r->dir, &room, err);
    if (rc == PR_OK)
        rc = dr_room_wave(load, n, &room, r->w->parallel, &r->wave, err);
    free(load);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "%s", r->w->dir);
    r->out->parallel = r->wave;
    pr_info(PR_EV("dr.restore_waves"), PR_I("shards", n), PR_I("at_a_time", r->wave),
            PR_I("free_memory", room.memory), PR_I("free_disk", room.disk));
    return PR_OK;
}

/* --- servers ------------------------------------------------------------------------------------
 */

/* While one shard's last pieces come, the next one's first do. */
enum { FETCHES = 2, PATH = 4200 };

static void dir_of(const struct dr_whole_run *r, size_t i, char dir[PATH])
{
    (void)snprintf(dir, PATH, "%s/%s", r->dir, r->out->shard[i].name);
}

static enum pr_code fetch_shard(struct dr_whole_run *r, size_t i, const atomic_bool *stop,
                                struct pr_err *err)
{
    char dir[PATH];
    struct dr_whole_shard *s = &r->out->shard[i];
    const struct dr_restore what = { .store = r->w->store,
                                     .codec = r->w->codec,
                                     .cancel = stop,
                                     .cluster = r->w->cluster,
                                     .shard = s->name,
                                     .index = &r->index,
                                     .until_ms = r->w->until_ms,
                                     .dir = dir,
                                     .threads = (r->threads + FETCHES - 1) / FETCHES,
                                     .unsynced = true, /* scratch, or dr_whole_publish does it */
                                     .rooms = &r->rooms,
                                     .others = &r->reading };
    const int64_t begun = pr_mono_us();
    dir_of(r, i, dir);
    enum pr_code rc = dr_restore_shard(&what, &s->restored, err);
    if (rc != PR_OK)
        return rc;
    const struct dr_restored *d = &s->restored;
    pr_info(PR_EV("dr.restore_fetched"), PR_S("shard", s->name), PR_I("shard_number", i + 1),
            PR_I("shards", r->out->shards), PR_I("bytes", d->base_bytes + d->stream_bytes),
            PR_I("ms", (pr_mono_us() - begun) / 1000), PR_I("until_ms", d->last_ms));
    if (d->gap || d->skipped > 0)
        pr_warn(PR_EV("dr.restore_damage"), PR_S("shard", s->name), PR_I("gap", d->gap),
                PR_I("skipped_generations", d->skipped), PR_S("why", d->why));
    r->fetched[i] = true;
    atomic_fetch_add(&r->progress->fetched, 1);
    return PR_OK;
}

static enum pr_code fetch(void *ctx, size_t i, const atomic_bool *stop, struct pr_err *err)
{
    struct dr_whole_run *r = ctx;
    return r->fetched[i] ? PR_OK : fetch_shard(r, i, stop, err);
}

/* What the base says it holds must have been loaded, whatever the stream then did to it. */
static enum pr_code load_shard(struct dr_whole_run *r, size_t i, struct pr_err *err)
{
    struct dr_whole_shard *s = &r->out->shard[i];
    PR_AUTO(redisReply) *size = NULL;
    uint64_t loaded = 0;
    enum pr_code rc = dr_quarantine_await(&r->server[i], err);
    if (rc == PR_OK)
        rc = dr_quarantine_connect(&r->server[i], &r->conn[i], err);
    if (rc == PR_OK)
        rc = dr_quarantine_loaded(r->conn[i], &loaded, err);
    if (rc == PR_OK)
        rc = pr_redis_command(r->conn[i], &size, err, "DBSIZE");
    if (rc != PR_OK)
        return pr_wrap(err, rc, "shard %s", s->name);
    s->keys = (uint64_t)size->integer;
    if (s->restored.base_keys != UINT64_MAX && loaded != s->restored.base_keys)
        return pr_fail(err, PR_EDATA, "shard %s: %llu keys of its base were loaded, it had %llu",
                       s->name, (unsigned long long)loaded,
                       (unsigned long long)s->restored.base_keys);
    pr_info(PR_EV("dr.restore_loaded"), PR_S("shard", s->name), PR_I("keys", s->keys));
    return PR_OK;
}

struct start {
    struct dr_whole_run *r;
    dr_wave_shard_fn *each;
};

static enum pr_code loaded(void *ctx, struct pr_s3 *s3, size_t k, struct pr_err *err)
{
    const struct start *s = ctx;
    const size_t i = s->r->from + k;
    (void)s3;
    const enum pr_code rc = load_shard(s->r, i, err);
    return rc == PR_OK && s->each != NULL ? s->each(s->r, i, err) : rc;
}

/* A server loads while the next shards are still being fetched. All are started by this thread:
 * they end with the one that did it. */
static enum pr_code start_servers(struct dr_whole_run *r, struct pr_err *err)
{
    struct dr_ahead *ahead;
    char dir[PATH];
    enum pr_code rc = dr_ahead_begin(&ahead, r->from, r->to, FETCHES, fetch, r, r->w->cancel, err);
    for (size_t i = r->from; i < r->to && rc == PR_OK; i++) {
        rc = dr_ahead_await(ahead, i, err);
        dir_of(r, i, dir);
        if (rc == PR_OK)
            rc = dr_quarantine_open(&r->server[i], dir, err);
        r->server[i].cancel = r->w->cancel;
    }
    dr_ahead_end(ahead);
    dr_rooms_free(&r->rooms);
    return rc;
}

static enum pr_code start(struct dr_whole_run *r, size_t from, size_t to, dr_wave_shard_fn *each,
                          struct pr_err *err)
{
    struct start s = { r, each };
    if (r->to > r->from)
        return PR_OK; /* all of them, and they stay */
    r->from = from;
    r->to = to;
    const enum pr_code rc = start_servers(r, err);
    return rc == PR_OK ? dr_each(NULL, NULL, r->threads, to - from, loaded, &s, err) : rc;
}

static enum pr_code stop(struct dr_whole_run *r, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t i = r->from; i < r->to; i++) {
        pr_redis_close(r->conn[i]);
        r->conn[i] = NULL;
        if (rc == PR_OK)
            rc = dr_quarantine_stop(&r->server[i], err);
    }
    if (rc == PR_OK)
        r->from = r->to = 0;
    return rc;
}

void dr_wave_kill(struct dr_whole_run *r)
{
    for (size_t i = r->from; i < r->to; i++) {
        pr_redis_close(r->conn[i]);
        r->conn[i] = NULL;
        dr_quarantine_kill(&r->server[i]); /* all give back their memory at a time */
    }
    for (size_t i = r->from; i < r->to; i++)
        dr_quarantine_close(&r->server[i]);
    r->from = r->to = 0;
}

static bool any(const struct dr_whole_run *r, dr_wave_wants_fn *wants, const void *ctx, size_t from,
                size_t to)
{
    bool some = wants == NULL;
    for (size_t i = from; i < to && !some; i++)
        some = wants(r, ctx, i);
    return some;
}

enum pr_code dr_wave_each(struct dr_whole_run *r, dr_wave_wants_fn *wants, dr_wave_shard_fn *each,
                          dr_wave_fn *fn, void *ctx, struct pr_err *err)
{
    const size_t last = r->out->last, n = last - r->out->first;
    enum pr_code rc = PR_OK;
    for (size_t from = r->out->first, to; from < last && rc == PR_OK; from = to) {
        to = last - from < r->wave ? last : from + r->wave;
        if (!any(r, wants, ctx, from, to))
            continue;
        rc = start(r, from, to, each, err);
        if (rc == PR_OK && fn != NULL)
            rc = fn(r, ctx, err);
        if (rc == PR_OK && r->wave < n)
            rc = stop(r, err);
    }
    return rc;
}

enum pr_code dr_wave_mend(struct dr_whole_run *r, struct pr_err *err)
{
    struct dr_mend again = { .vertices = 0 }; /* counts what agree() counted */
    const enum pr_code rc =
        dr_mend(&(struct dr_mend_of){ .survey = &r->survey, .owner = r->owner, .conn = r->conn },
                &again, err);
    dr_mend_done(&again);
    return rc;
}
