/* What a shard is made of, brought by several threads. */
#include "io/restore_private.h"

#include "io/each.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 8 };

struct job { /* one object, or a part of one */
    bool base;
    size_t i;    /* part, or index of the piece */
    uint64_t at; /* in the file */
};

/* Of one job at a time, and then of the next: memory that is new each time costs more than what is
 * done with it. */
struct dr_fetch_room {
    struct pr_buf stored, raw;
    struct dr_fetch_room *next;
};

struct fetch {
    const struct dr_fetch *of;
    struct job *job; /* [jobs] */
    size_t jobs;
    struct dr_rooms *rooms;
};

/* --- one ----------------------------------------------------------------------------------------
 */

static enum pr_code write_at(int fd, const char *raw, uint64_t bytes, uint64_t at, const char *what,
                             struct pr_err *err)
{
    size_t done = 0;
    while (done < bytes) {
        const ssize_t n = pwrite(fd, raw + done, (size_t)bytes - done, (off_t)(at + done));
        if (n < 0 && errno != EINTR)
            return dr_restore_failed(err, what);
        done += n > 0 ? (size_t)n : 0;
    }
    return PR_OK;
}

static enum pr_code get(struct pr_s3 *s3, const struct dr_key *k, uint64_t at, uint64_t n,
                        struct pr_buf *stored, struct pr_err *err)
{
    char key[DR_KEY];
    enum pr_code rc = dr_key_print(k, key, err);
    pr_buf_reset(stored);
    if (rc == PR_OK && !pr_buf_reserve(stored, (size_t)n))
        rc = pr_fail(err, PR_ENOMEM, "no memory for %llu bytes of %s", (unsigned long long)n, key);
    if (rc == PR_OK)
        rc = pr_s3_get(s3, key, at, stored->data, (size_t)n, NULL, err);
    return rc == PR_ENOTFOUND ? pr_fail(err, PR_EDATA, "%s is missing", key) : rc;
}

/* Whoever reads of damage wants to know where. */
static enum pr_code opened(const struct dr_key *k, enum pr_code rc, struct pr_err *err)
{
    char key[DR_KEY];
    struct pr_err unsaid;
    if (rc != PR_EDATA || dr_key_print(k, key, &unsaid) != PR_OK)
        return rc;
    return pr_wrap(err, rc, "%s", key);
}

static enum pr_code fetch_part(const struct dr_fetch *f, struct pr_s3 *s3, const struct job *j,
                               struct dr_fetch_room *r, struct pr_err *err)
{
    const struct dr_generation *g = f->g;
    const uint64_t n = g->part[j->i].stored_bytes;
    const char *raw = NULL;
    struct dr_key k = { .kind = DR_KEY_BASE, .generation = g->id, .part = (uint32_t)j->i };
    memcpy(k.cluster, g->cluster, sizeof k.cluster);
    memcpy(k.name, g->shard, sizeof k.name);
    enum pr_code rc = get(s3, &k, 0, n, &r->stored, err);
    if (rc == PR_OK)
        rc = opened(
            &k,
            dr_part_view(g, k.part, r->stored.data, (size_t)n, f->what->codec, &r->raw, &raw, err),
            err);
    return rc == PR_OK ? write_at(f->base, raw, g->part[j->i].bytes, j->at, "the base", err) : rc;
}

static enum pr_code fetch_piece(const struct dr_fetch *f, struct pr_s3 *s3, const struct job *j,
                                struct dr_fetch_room *r, struct pr_err *err)
{
    struct dr_located *l = &f->pieces->piece[j->i];
    const uint64_t n = l->piece.stored_bytes;
    const char *raw = NULL;
    const struct dr_container c = {
        .epoch = l->epoch, .seq = l->seq, .piece = &l->piece, .pieces = 1
    };
    struct dr_key k = { .kind = DR_KEY_LOG, .epoch = l->epoch, .seq = l->seq };
    memcpy(k.cluster, f->g->cluster, sizeof k.cluster);
    memcpy(k.name, f->pieces->group[j->i], sizeof k.name);
    enum pr_code rc = get(s3, &k, l->piece.at, n, &r->stored, err);
    if (rc == PR_OK)
        rc = opened(
            &k, dr_piece_view(&c, 0, r->stored.data, (size_t)n, f->what->codec, &r->raw, &raw, err),
            err);
    return rc == PR_OK
               ? write_at(f->stream, raw, l->piece.to - l->piece.from, j->at, "the stream", err)
               : rc;
}

/* --- all ----------------------------------------------------------------------------------------
 */

static struct dr_fetch_room *take_room(struct dr_rooms *of)
{
    pthread_mutex_lock(&of->mu);
    struct dr_fetch_room *r = of->idle;
    if (r != NULL)
        of->idle = r->next;
    pthread_mutex_unlock(&of->mu);
    if (r == NULL && (r = calloc(1, sizeof *r)) != NULL) {
        pr_buf_init(&r->stored, 0);
        pr_buf_init(&r->raw, 0);
    }
    return r;
}

static void give_room(struct dr_rooms *of, struct dr_fetch_room *r)
{
    pthread_mutex_lock(&of->mu);
    r->next = of->idle;
    of->idle = r;
    pthread_mutex_unlock(&of->mu);
}

void dr_rooms_free(struct dr_rooms *of)
{
    while (of->idle != NULL) {
        struct dr_fetch_room *r = of->idle;
        of->idle = r->next;
        pr_buf_done(&r->stored);
        pr_buf_done(&r->raw);
        free(r);
    }
}

/* What is damaged is fetched once more: it may have been on the way. */
static enum pr_code fetch_one(void *ctx, struct pr_s3 *s3, size_t i, struct pr_err *err)
{
    struct fetch *f = ctx;
    const struct job *j = &f->job[i];
    struct dr_fetch_room *r = take_room(f->rooms);
    enum pr_code rc = PR_EDATA;
    if (r == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for the restore of shard %s", f->of->g->shard);
    for (int tries = 0; tries < 2 && rc == PR_EDATA; tries++)
        rc = j->base ? fetch_part(f->of, s3, j, r, err) : fetch_piece(f->of, s3, j, r, err);
    give_room(f->rooms, r);
    return rc;
}

static void add_jobs(struct fetch *f)
{
    const struct dr_fetch *of = f->of;
    uint64_t at = 0;
    for (size_t i = 0; i < of->g->parts; i++) {
        f->job[f->jobs++] = (struct job){ true, i, at };
        at += of->g->part[i].bytes;
    }
    for (size_t i = 0; i < of->route->n; i++) {
        const struct dr_piece *p = &of->pieces->piece[of->route->take[i]].piece;
        f->job[f->jobs++] = (struct job){ false, of->route->take[i], p->from - of->g->offset };
    }
}

enum pr_code dr_fetch_all(const struct dr_fetch *of, struct pr_err *err)
{
    const unsigned threads = of->what->threads > 0 ? of->what->threads : THREADS;
    struct dr_rooms own = { .mu = PTHREAD_MUTEX_INITIALIZER };
    struct fetch f = { .of = of, .rooms = of->what->rooms != NULL ? of->what->rooms : &own };
    f.job = calloc(of->g->parts + of->route->n + 1, sizeof *f.job);
    if (f.job == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for the restore of shard %s", of->g->shard);
    add_jobs(&f);
    const enum pr_code rc =
        dr_each(of->what->store, of->what->cancel, threads, f.jobs, fetch_one, &f, err);
    dr_rooms_free(&own);
    free(f.job);
    return rc;
}
