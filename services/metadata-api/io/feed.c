#include "feed.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    RING_ROWS = 4096,
    POLL_MS = 1000, /* LISTEN may be lost with its connection */
    HELD_MS = 50,   /* nothing tells us that an older transaction has ended */
    TURN_MS = 100,
    RETRY_MS = 500,
};

struct api_feed {
    struct pr_http_bell *bell;
    struct pr_db *db; /* of the thread */
    pthread_t thread;
    bool running;
    atomic_bool stop;
    struct api_feed_rows rows; /* of the thread; large */
    int64_t held_since_ms;     /* monotonic; 0: nothing is held */
    pthread_mutex_t lock;
    struct api_ring ring;
    struct api_feed_stats stats;
};

static void copy(char *to, size_t cap, const PGresult *res, int row, int col)
{
    (void)snprintf(to, cap, "%s", pr_cell(res, row, col));
}

/* One statement sees one snapshot: the floor, the first xid that is still open, and the rows. */
enum pr_code api_feed_table(struct pr_db *db, const struct api_cursor *after, const char *prefix,
                            size_t limit, struct api_feed_rows *out, struct pr_err *err)
{
    static const char SQL[] =
        "SELECT n.timeline, n.xmin, f.xid, f.id, "
        "EXISTS (SELECT FROM changes h WHERE h.xid >= n.xmin), "
        "c.xid, c.id, c.resource, c.type, c.revision, c.state, to_json(c.at)#>>'{}' FROM "
        "(SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint "
        "AS timeline, pg_snapshot_xmin(pg_current_snapshot()) AS xmin) n "
        "CROSS JOIN changes_floor f LEFT JOIN LATERAL (SELECT * FROM changes t "
        "WHERE (t.xid, t.id) > ($1::xid8, $2::bigint) AND t.xid < n.xmin AND ($3::text IS NULL "
        "OR t.resource = $3 OR starts_with(t.resource, $3 || '/')) "
        "ORDER BY t.xid, t.id LIMIT $4::bigint) c ON true ORDER BY c.xid, c.id";
    char xid[24];
    PR_AUTO(PGresult) *res = NULL;
    (void)snprintf(xid, sizeof xid, "%" PRIu64, after->xid);
    enum pr_code rc = pr_db_exec(
        db, SQL,
        PR_ARGS(pr_text(xid), pr_i64((int64_t)after->id), pr_text(prefix), pr_i64((int64_t)limit)),
        &res, err);
    if (rc != PR_OK)
        return rc;
    if (PQntuples(res) == 0)
        return pr_fail(err, PR_EDATA, "changes_floor has no row");
    const uint64_t timeline = (uint64_t)pr_cell_i64(res, 0, 0);
    out->now = (struct api_cursor){ timeline, (uint64_t)pr_cell_i64(res, 0, 1), 0 };
    out->floor = (struct api_cursor){ timeline, (uint64_t)pr_cell_i64(res, 0, 2),
                                      (uint64_t)pr_cell_i64(res, 0, 3) };
    out->held = pr_cell_bool(res, 0, 4);
    out->until = out->now;
    out->n = 0;
    for (int i = 0; i < PQntuples(res) && pr_cell(res, i, 5) != NULL; i++) {
        struct api_change_row *r = &out->row[out->n++];
        r->at = (struct api_cursor){ timeline, (uint64_t)pr_cell_i64(res, i, 5),
                                     (uint64_t)pr_cell_i64(res, i, 6) };
        copy(r->resource, sizeof r->resource, res, i, 7);
        copy(r->type, sizeof r->type, res, i, 8);
        r->revision = (uint64_t)pr_cell_i64(res, i, 9);
        copy(r->state, sizeof r->state, res, i, 10);
        copy(r->when, sizeof r->when, res, i, 11);
    }
    if (out->n == limit) /* there may be more */
        out->until = out->row[out->n - 1].at;
    return PR_OK;
}

enum pr_code api_feed_trim(struct pr_db *db, int64_t keep_h, struct pr_err *err)
{
    return pr_db_exec(
        db,
        "WITH gone AS (DELETE FROM changes WHERE at < now() - make_interval(hours => $1) "
        "AND xid < pg_snapshot_xmin(pg_current_snapshot()) RETURNING xid, id), "
        "last AS (SELECT xid, id FROM gone ORDER BY xid DESC, id DESC LIMIT 1) "
        "UPDATE changes_floor f SET xid = l.xid, id = l.id FROM last l "
        "WHERE (l.xid, l.id) > (f.xid, f.id)",
        PR_ARGS(pr_i64(keep_h)), NULL, err);
}

/* --- the thread ------------------------------------------------------------- */

static void take(struct api_feed *f, bool begin)
{
    const struct api_feed_rows *rows = &f->rows;
    const int64_t now_ms = pr_mono_us() / 1000;
    f->held_since_ms = !rows->held ? 0 : f->held_since_ms == 0 ? now_ms : f->held_since_ms;
    pthread_mutex_lock(&f->lock);
    if (begin)
        api_ring_begin(&f->ring, &rows->now);
    else
        api_ring_add(&f->ring, rows->row, rows->n, &rows->until);
    f->stats.changes += begin ? 0 : rows->n;
    f->stats.held_ms = f->held_since_ms == 0 ? 0 : now_ms - f->held_since_ms;
    pthread_mutex_unlock(&f->lock);
    if (begin || rows->n > 0)
        pr_http_ring(f->bell);
}

/* Reads until there is no more for now. */
static enum pr_code read_all(struct api_feed *f, struct pr_err *err)
{
    do {
        struct api_cursor after = f->ring.until; /* only this thread writes it */
        enum pr_code rc = api_feed_table(f->db, &after, NULL, API_FEED_ROWS, &f->rows, err);
        if (rc != PR_OK)
            return rc;
        const bool begin =
            after.timeline == 0 ||
            api_cursor_resume(&after, &f->rows.floor, &f->rows.now) == API_RESUME_GONE;
        if (begin)
            f->rows.n = 0;
        take(f, begin);
    } while (f->rows.n == API_FEED_ROWS && !atomic_load(&f->stop));
    return PR_OK;
}

static enum pr_code wait_for_news(struct api_feed *f, struct pr_err *err)
{
    const int turn_ms = f->rows.held ? HELD_MS : TURN_MS;
    const int all_ms = f->rows.held ? HELD_MS : POLL_MS;
    bool news = false;
    enum pr_code rc = PR_OK;
    for (int ms = 0; rc == PR_OK && !news && ms < all_ms && !atomic_load(&f->stop); ms += turn_ms)
        rc = pr_db_wait(f->db, turn_ms, &news, err);
    return rc;
}

static void pause_a_little(struct api_feed *f)
{
    for (int ms = 0; ms < RETRY_MS && !atomic_load(&f->stop); ms += TURN_MS)
        (void)nanosleep(&(struct timespec){ .tv_nsec = TURN_MS * 1000000L }, NULL);
}

static void *run(void *arg)
{
    struct api_feed *f = arg;
    bool troubled = false;
    while (!atomic_load(&f->stop)) {
        struct pr_err err = { 0 };
        enum pr_code rc = read_all(f, &err);
        if (rc == PR_OK)
            rc = wait_for_news(f, &err);
        if (rc != PR_OK && !troubled)
            pr_warn(PR_EV("api.feed_waits"), PR_S("code", pr_code_name(rc)), PR_E(&err));
        if (rc == PR_OK && troubled)
            pr_info(PR_EV("api.feed_goes_on"));
        troubled = rc != PR_OK;
        if (!troubled)
            continue;
        pthread_mutex_lock(&f->lock);
        f->stats.failed++;
        pthread_mutex_unlock(&f->lock);
        pause_a_little(f);
    }
    return NULL;
}

static struct api_feed *new_feed(void)
{
    struct api_feed *f = calloc(1, sizeof *f);
    if (f == NULL)
        return NULL;
    pthread_mutex_init(&f->lock, NULL);
    return f;
}

enum pr_code api_feed_start(struct api_feed **out, const char *db_uri, struct pr_http_bell *bell,
                            struct pr_err *err)
{
    struct api_feed *f = new_feed();
    if (f == NULL)
        return pr_fail(err, PR_ENOMEM, "feed of changes");
    f->bell = bell;
    enum pr_code rc = api_ring_init(&f->ring, RING_ROWS, err);
    if (rc == PR_OK)
        rc = pr_db_open(&f->db, db_uri, "metadata-api feed", err);
    /* A database that is down is no reason to fail: connecting listens later. */
    struct pr_err later = { 0 };
    if (rc == PR_OK) {
        enum pr_code listens = pr_db_listen(f->db, "prism_changes", &later);
        if (listens != PR_OK && !pr_retryable(listens))
            rc = pr_fail(err, listens, "%s", later.text);
    }
    int e = rc == PR_OK ? pthread_create(&f->thread, NULL, run, f) : 0;
    if (e != 0)
        rc = pr_fail(err, PR_EINTERNAL, "feed thread: %s", strerror(e));
    f->running = rc == PR_OK;
    if (rc == PR_OK)
        *out = f;
    else
        api_feed_free(f);
    return rc;
}

void api_feed_free(struct api_feed *f)
{
    if (f == NULL)
        return;
    atomic_store(&f->stop, true);
    if (f->running)
        pthread_join(f->thread, NULL);
    pr_db_close(f->db);
    api_ring_done(&f->ring);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

/* --- for watchers ----------------------------------------------------------- */

void api_feed_stats(struct api_feed *f, struct api_feed_stats *out)
{
    pthread_mutex_lock(&f->lock);
    *out = f->stats;
    pthread_mutex_unlock(&f->lock);
}

bool api_feed_now(struct api_feed *f, struct api_cursor *out)
{
    pthread_mutex_lock(&f->lock);
    *out = f->ring.until;
    pthread_mutex_unlock(&f->lock);
    return out->timeline != 0;
}

bool api_feed_covers(struct api_feed *f, const struct api_cursor *at)
{
    pthread_mutex_lock(&f->lock);
    const bool covers = api_ring_covers(&f->ring, at) && api_cursor_order(at, &f->ring.until) <= 0;
    pthread_mutex_unlock(&f->lock);
    return covers;
}

enum api_feed_got api_feed_read(struct api_feed *f, const char *prefix, size_t max,
                                struct api_cursor *at, struct pr_buf *out)
{
    enum api_feed_got got = API_FEED_READ;
    pthread_mutex_lock(&f->lock);
    if (api_ring_covers(&f->ring, at))
        api_ring_read(&f->ring, prefix, max, at, out);
    else
        got = f->ring.from.timeline != 0 && f->ring.from.timeline != at->timeline ? API_FEED_GONE
                                                                                  : API_FEED_BEHIND;
    pthread_mutex_unlock(&f->lock);
    return got;
}
