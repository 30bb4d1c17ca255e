#include "io/drill.h"

#include "io/quarantine.h"
#include "io/room.h"
#include "io/shard.h"

#include "prism/io/clock.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what came back ------------------------------------------------------------------------------
 */

static enum pr_code look_at_beat(struct pr_redis *c, const redisReply *key, int64_t *newest_ms,
                                 struct pr_err *err)
{
    PR_AUTO(redisReply) *value = NULL;
    const enum pr_code rc = pr_redis_command(c, &value, err, "GET %b", key->str, key->len);
    if (rc != PR_OK || value->type != REDIS_REPLY_STRING)
        return rc;
    const int64_t ms = strtoll(value->str, NULL, 10);
    *newest_ms = ms > *newest_ms ? ms : *newest_ms;
    return PR_OK;
}

/* The newest of all: when slots move, another key beats. */
static enum pr_code read_beat(struct pr_redis *c, int64_t *newest_ms, struct pr_err *err)
{
    char cursor[24] = "0";
    do {
        PR_AUTO(redisReply) *page = NULL;
        enum pr_code rc =
            pr_redis_command(c, &page, err, "SCAN %s MATCH %s* COUNT 10000", cursor, DR_BEAT_KEY);
        if (rc == PR_OK && (page->type != REDIS_REPLY_ARRAY || page->elements != 2))
            rc = pr_fail(err, PR_EDATA, "SCAN answered something else");
        if (rc != PR_OK)
            return rc;
        (void)snprintf(cursor, sizeof cursor, "%s", page->element[0]->str);
        for (size_t i = 0; rc == PR_OK && i < page->element[1]->elements; i++)
            rc = look_at_beat(c, page->element[1]->element[i], newest_ms, err);
        if (rc != PR_OK)
            return rc;
    } while (strcmp(cursor, "0") != 0);
    return PR_OK;
}

static enum pr_code look(const struct dr_quarantine *q, struct dr_drilled *out, struct pr_err *err)
{
    struct pr_redis *c = NULL;
    PR_AUTO(redisReply) *size = NULL;
    enum pr_code rc = dr_quarantine_connect(q, &c, err);
    if (rc == PR_OK)
        rc = dr_quarantine_loaded(c, &out->loaded_keys, err);
    if (rc == PR_OK)
        rc = pr_redis_command(c, &size, err, "DBSIZE");
    if (rc == PR_OK) {
        out->keys = (uint64_t)size->integer;
        rc = read_beat(c, &out->beat_ms, err);
    }
    pr_redis_close(c);
    return rc;
}

static enum pr_code load(const struct dr_drill *d, const char *dir, int64_t begun_us,
                         struct dr_drilled *out, struct pr_err *err)
{
    struct dr_quarantine q;
    const int64_t restored_us = pr_mono_us();
    enum pr_code rc = dr_quarantine_open(&q, dir, err);
    if (rc != PR_OK)
        return rc;
    q.cancel = d->cancel;
    rc = dr_quarantine_await(&q, err);
    const int64_t now_us = pr_mono_us();
    out->load_ms = (now_us - restored_us) / 1000;
    out->took_ms = (now_us - begun_us) / 1000;
    if (rc == PR_OK)
        rc = look(&q, out, err);
    dr_quarantine_close(&q);
    return rc;
}

/* --- the drill ---------------------------------------------------------------------------------
 */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static enum pr_code restore_and_load(const struct dr_drill *d, const char *dir,
                                     struct dr_drilled *out, struct pr_err *err)
{
    const bool shared = d->index != NULL && d->index->begun_ms != 0;
    const int64_t begun_us = pr_mono_us() - (shared ? d->index->took_ms * 1000 : 0);
    const struct dr_restore r = { .store = d->store,
                                  .codec = d->codec,
                                  .cancel = d->cancel,
                                  .cluster = d->cluster,
                                  .shard = d->shard,
                                  .index = d->index,
                                  .until_ms = INT64_MAX,
                                  .dir = dir,
                                  .threads = d->threads };
    out->begun_ms = shared ? d->index->begun_ms : pr_now_ms();
    struct dr_room room;
    enum pr_code rc = dr_restore_shard(&r, &out->restored, err);
    const struct dr_load shard = { out->restored.base_bytes, out->restored.stream_bytes };
    if (rc == PR_OK)
        rc = dr_room_look(d->scratch, &room, err);
    if (rc == PR_OK)
        rc = dr_room_least(&shard, room.memory, err);
    return rc == PR_OK ? load(d, dir, begun_us, out, err) : rc;
}

enum pr_code dr_drill_hold(const struct dr_drill *d, struct dr_drilled *out, struct pr_err *err)
{
    char top[300], dir[320];
    *out = (struct dr_drilled){ .restored = { .base_keys = UINT64_MAX } };
    if (snprintf(top, sizeof top, "%s/prism-drill-XXXXXX", d->scratch) >= (int)sizeof top)
        return pr_fail(err, PR_EINVAL, "%.100s...: the name is too long", d->scratch);
    if (mkdtemp(top) == NULL)
        return pr_fail(err, errno == ENOSPC ? PR_EFULL : PR_EUNAVAIL, "%s: %s", top,
                       strerror(errno));
    (void)snprintf(dir, sizeof dir, "%s/d", top);
    const enum pr_code rc = restore_and_load(d, dir, out, err);
    (void)nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (rc == PR_ECANCELED)
        return rc;
    const struct dr_drill_facts facts = { .rc = rc,
                                          .error = err->text,
                                          .skipped = out->restored.skipped,
                                          .damage = out->restored.damage,
                                          .gap = out->restored.gap,
                                          .why = out->restored.why,
                                          .base_keys = out->restored.base_keys,
                                          .loaded_keys = out->loaded_keys,
                                          .begun_ms = out->begun_ms,
                                          .beat_ms = out->beat_ms,
                                          .took_ms = out->took_ms };
    dr_drill_judge(&facts, &d->limits, &out->verdict);
    return PR_OK;
}
