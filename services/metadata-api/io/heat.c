#include "heat.h"

#include "prism/buf.h"
#include "prism/v1/edges.pb-c.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_A_STATEMENT = 2048,
    WRITE_APART_MS = 5 * 60 * 1000, /* an access time is written again when it is older by this */
    AHEAD_MS = 60 * 1000,           /* of our clock, at most */
};

struct api_heat {
    struct api_heat_rules rules;
    pthread_mutex_t lock;       /* of what follows */
    struct api_heat_spot *spot; /* [partitions] of the store */
    uint32_t partitions;
    int64_t since_ms; /* first access that was heard of; 0: none yet */
    bool known;       /* what PostgreSQL had is in spot */
    struct api_heat_stats stats;
    int64_t *written_ms; /* [partitions]: access time that PostgreSQL has */
};

enum pr_code api_heat_new(struct api_heat **out, const struct api_heat_rules *rules,
                          struct pr_err *err)
{
    struct api_heat *h = calloc(1, sizeof *h);
    if (h == NULL)
        return pr_fail(err, PR_ENOMEM, "temperatures");
    h->rules = *rules;
    (void)pthread_mutex_init(&h->lock, NULL);
    *out = h;
    return PR_OK;
}

void api_heat_free(struct api_heat *h)
{
    if (h == NULL)
        return;
    (void)pthread_mutex_destroy(&h->lock);
    free(h->spot);
    free(h->written_ms);
    free(h);
}

/* --- hearing ------------------------------------------------------------------- */

/* lock is held. */
static bool grow(struct api_heat *h, uint32_t partitions)
{
    if (partitions <= h->partitions)
        return true;
    struct api_heat_spot *spot = realloc(h->spot, partitions * sizeof *spot);
    if (spot != NULL)
        h->spot = spot;
    int64_t *written = realloc(h->written_ms, partitions * sizeof *written);
    if (written != NULL)
        h->written_ms = written;
    if (spot == NULL || written == NULL)
        return false;
    memset(spot + h->partitions, 0, (partitions - h->partitions) * sizeof *spot);
    memset(written + h->partitions, 0, (partitions - h->partitions) * sizeof *written);
    h->partitions = partitions;
    return true;
}

static bool makes_sense(const Prism__V1__PartitionAccessEvent *e, uint32_t partitions,
                        int64_t now_ms)
{
    if (e->at_ms <= 0 || e->at_ms > now_ms + AHEAD_MS || e->n_partition != e->n_operations ||
        e->n_partition == 0 || !(e->sample_ratio >= 0 && e->sample_ratio <= 1))
        return false;
    for (size_t i = 0; i < e->n_partition; i++)
        if (e->partition[i] >= partitions)
            return false;
    return true;
}

static bool take(struct api_heat *h, const Prism__V1__PartitionAccessEvent *e, uint32_t partitions,
                 int64_t now_ms)
{
    const double ratio = e->sample_ratio == 0 ? 1 : e->sample_ratio;
    if (!makes_sense(e, partitions, now_ms) || !grow(h, partitions))
        return false;
    if (h->since_ms == 0)
        h->since_ms = now_ms;
    for (size_t i = 0; i < e->n_partition; i++)
        if (e->operations[i] > 0)
            api_heat_add(&h->spot[e->partition[i]], &h->rules, e->at_ms,
                         (double)e->operations[i] / ratio);
    return true;
}

void api_heat_hear(struct api_heat *h, const struct pr_msg *msg, uint32_t partitions,
                   int64_t now_ms)
{
    Prism__V1__PartitionAccessEvent *e =
        prism__v1__partition_access_event__unpack(NULL, msg->len, msg->data);
    pthread_mutex_lock(&h->lock);
    h->stats.heard++;
    h->stats.dropped += e == NULL || !take(h, e, partitions, now_ms);
    pthread_mutex_unlock(&h->lock);
    if (e != NULL)
        prism__v1__partition_access_event__free_unpacked(e, NULL);
}

/* --- writing ------------------------------------------------------------------- */

/* What PostgreSQL had before we began to hear, once. */
static enum pr_code adopt(struct api_heat *h, struct pr_db *db, struct pr_err *err)
{
    PR_AUTO(PGresult) *rows = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT id, coalesce((extract(epoch FROM accessed_at) * 1000)::bigint, 0), temperature "
        "FROM partitions ORDER BY id DESC",
        NULL, 0, &rows, err);
    if (rc != PR_OK || PQntuples(rows) == 0)
        return rc;
    pthread_mutex_lock(&h->lock);
    if (!grow(h, (uint32_t)pr_cell_i64(rows, 0, 0) + 1))
        rc = pr_fail(err, PR_ENOMEM, "temperatures of %d partitions", PQntuples(rows));
    for (int i = 0; rc == PR_OK && i < PQntuples(rows); i++) {
        const int64_t id = pr_cell_i64(rows, i, 0), at_ms = pr_cell_i64(rows, i, 1);
        struct api_heat_spot *s = &h->spot[id];
        h->written_ms[id] = at_ms;
        s->accessed_ms = at_ms > s->accessed_ms ? at_ms : s->accessed_ms;
        s->was = api_temperature_parse(pr_cell(rows, i, 2));
    }
    h->known = rc == PR_OK;
    pthread_mutex_unlock(&h->lock);
    return rc;
}

struct news { /* rows of one statement, as arrays of PostgreSQL */
    struct pr_buf id, at, temperature;
    uint32_t partition[ROWS_A_STATEMENT];
    int64_t accessed_ms[ROWS_A_STATEMENT];
    enum api_temperature is[ROWS_A_STATEMENT];
    size_t n;
};

static void add_row(struct news *w, uint32_t partition, int64_t accessed_ms,
                    enum api_temperature is)
{
    const char *comma = w->n == 0 ? "{" : ",";
    pr_buf_printf(&w->id, "%s%" PRIu32, comma, partition);
    if (accessed_ms > 0)
        pr_buf_printf(&w->at, "%s%" PRId64, comma, accessed_ms);
    else
        pr_buf_printf(&w->at, "%sNULL", comma);
    pr_buf_printf(&w->temperature, "%s%s", comma, api_temperature_name(is));
    w->partition[w->n] = partition;
    w->accessed_ms[w->n] = accessed_ms;
    w->is[w->n++] = is;
}

/* From *next on, what is to be written of as many as fit. */
static void gather(struct api_heat *h, struct news *w, uint32_t *next, int64_t now_ms)
{
    pthread_mutex_lock(&h->lock);
    for (; *next < h->partitions && w->n < ROWS_A_STATEMENT; (*next)++) {
        const struct api_heat_spot *s = &h->spot[*next];
        const enum api_temperature is = api_heat_judge(s, &h->rules, now_ms, h->since_ms);
        if (is != s->was || s->accessed_ms >= h->written_ms[*next] + WRITE_APART_MS)
            add_row(w, *next, s->accessed_ms, is);
    }
    pthread_mutex_unlock(&h->lock);
}

static enum pr_code update(struct pr_db *db, struct news *w, struct pr_err *err)
{
    pr_buf_str(&w->id, "}");
    pr_buf_str(&w->at, "}");
    pr_buf_str(&w->temperature, "}");
    if (w->id.failed || w->at.failed || w->temperature.failed)
        return pr_fail(err, PR_ENOMEM, "temperatures of %zu partitions", w->n);
    /* Another replica may write the same at once: who comes second finds nothing to change. */
    return pr_db_exec(
        db,
        "UPDATE partitions p SET accessed_at = greatest(p.accessed_at, "
        "to_timestamp(v.at / 1000.0)), temperature = v.temperature "
        "FROM unnest($1::int[], $2::bigint[], $3::text[]) v (id, at, temperature) "
        "WHERE p.id = v.id AND (p.temperature <> v.temperature OR p.accessed_at IS DISTINCT FROM "
        "greatest(p.accessed_at, to_timestamp(v.at / 1000.0)))",
        PR_ARGS(pr_text(w->id.data), pr_text(w->at.data), pr_text(w->temperature.data)), NULL, err);
}

static void remember(struct api_heat *h, const struct news *w)
{
    pthread_mutex_lock(&h->lock);
    for (size_t i = 0; i < w->n; i++) {
        h->spot[w->partition[i]].was = w->is[i];
        h->written_ms[w->partition[i]] = w->accessed_ms[i];
    }
    h->stats.written += w->n;
    pthread_mutex_unlock(&h->lock);
}

static bool is_new(struct api_heat *h, bool *known)
{
    pthread_mutex_lock(&h->lock);
    const bool heard = h->since_ms != 0;
    *known = h->known;
    pthread_mutex_unlock(&h->lock);
    return !heard;
}

static enum pr_code write_all(struct api_heat *h, struct news *w, struct pr_db *db, int64_t now_ms,
                              struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    uint32_t next = 0;
    do {
        w->n = 0;
        pr_buf_reset(&w->id);
        pr_buf_reset(&w->at);
        pr_buf_reset(&w->temperature);
        gather(h, w, &next, now_ms);
        if (w->n > 0)
            rc = update(db, w, err);
        if (rc == PR_OK)
            remember(h, w);
    } while (rc == PR_OK && w->n == ROWS_A_STATEMENT);
    return rc;
}

enum pr_code api_heat_write(struct api_heat *h, struct pr_db *db, int64_t now_ms,
                            struct pr_err *err)
{
    bool known;
    if (is_new(h, &known))
        return PR_OK;
    enum pr_code rc = known ? PR_OK : adopt(h, db, err);
    struct news *w = rc == PR_OK ? calloc(1, sizeof *w) : NULL;
    if (rc == PR_OK && w == NULL)
        rc = pr_fail(err, PR_ENOMEM, "temperatures");
    if (rc != PR_OK)
        return rc;
    pr_buf_init(&w->id, 0);
    pr_buf_init(&w->at, 0);
    pr_buf_init(&w->temperature, 0);
    rc = write_all(h, w, db, now_ms, err);
    pr_buf_done(&w->id);
    pr_buf_done(&w->at);
    pr_buf_done(&w->temperature);
    free(w);
    return rc;
}

void api_heat_stats(struct api_heat *h, struct api_heat_stats *out)
{
    pthread_mutex_lock(&h->lock);
    *out = h->stats;
    pthread_mutex_unlock(&h->lock);
}
