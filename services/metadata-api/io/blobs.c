#include "blobs.h"

#include "prism/io/clock.h"
#include "prism/rng.h"
#include "prism/routes.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STRIPES = 16, BUCKETS = 2048, ENTRY_BYTES = 128, RENEWING = 4, REST_MS = 2000 };

struct entry {
    struct api_blob_key key;
    struct entry *chain, *newer, *older;
    void *blob; /* NULL with bytes 0: no route at this home */
    size_t bytes;
    uint64_t generation;
    int64_t loaded_ms;
    bool filled;  /* holds a blob, perhaps an old one */
    bool loading; /* by one thread; others wait for `loaded` */
};

struct stripe {
    pthread_mutex_t lock;
    pthread_cond_t loaded;
    struct entry *bucket[BUCKETS];
    struct entry *newest, *oldest;
    struct api_blob_stats stats;
};

struct api_blobs {
    struct api_pool *pool;
    size_t stripe_bytes;
    int64_t ttl_ms;
    atomic_uint renewing;       /* loads of what is merely past its time to live */
    atomic_llong rest_until_ms; /* monotonic: none before, the last one failed */
    struct stripe stripe[STRIPES];
};

static uint64_t key_hash(struct api_blob_key k)
{
    return pr_mix64((uint64_t)k.run << 20 ^ k.home);
}

static struct stripe *stripe_of(struct api_blobs *b, struct api_blob_key k)
{
    return &b->stripe[key_hash(k) % STRIPES];
}

static struct entry **chain_of(struct stripe *s, struct api_blob_key k)
{
    return &s->bucket[key_hash(k) / STRIPES % BUCKETS];
}

static struct entry *lookup(struct stripe *s, struct api_blob_key k)
{
    struct entry *e = *chain_of(s, k);
    while (e != NULL && (e->key.run != k.run || e->key.home != k.home))
        e = e->chain;
    return e;
}

static void lru_remove(struct stripe *s, struct entry *e)
{
    *(e->newer != NULL ? &e->newer->older : &s->newest) = e->older;
    *(e->older != NULL ? &e->older->newer : &s->oldest) = e->newer;
}

static void lru_push(struct stripe *s, struct entry *e)
{
    e->newer = NULL;
    e->older = s->newest;
    *(s->newest != NULL ? &s->newest->newer : &s->oldest) = e;
    s->newest = e;
}

static void drop(struct stripe *s, struct entry *e)
{
    struct entry **at = chain_of(s, e->key);
    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    lru_remove(s, e);
    s->stats.bytes -= e->bytes + ENTRY_BYTES;
    s->stats.entries--;
    free(e->blob);
    free(e);
}

static struct entry *add(struct stripe *s, struct api_blob_key k)
{
    struct entry *e = calloc(1, sizeof *e);
    if (e == NULL)
        return NULL;
    e->key = k;
    e->chain = *chain_of(s, k);
    *chain_of(s, k) = e;
    lru_push(s, e);
    s->stats.bytes += ENTRY_BYTES;
    s->stats.entries++;
    return e;
}

static void evict(struct api_blobs *b, struct stripe *s, const struct entry *keep)
{
    struct entry *e = s->oldest;
    while (e != NULL && s->stats.bytes > b->stripe_bytes) {
        struct entry *next = e->newer;
        if (e != keep && !e->loading) {
            drop(s, e);
            s->stats.evicted++;
        }
        e = next;
    }
}

static bool usable(const struct entry *e, const struct api_blob_want *w)
{
    return e->filled && e->generation >= w->generation && e->loaded_ms >= w->since_ms;
}

/* What is past its time to live is loaded again by a few at a time, who may have to wait for
 * PostgreSQL: all others take what is there, and so does everybody for a while after that failed.
 */
static bool serves(struct api_blobs *b, const struct entry *e, const struct api_blob_want *w)
{
    return usable(e, w) &&
           (w->now_ms - e->loaded_ms < b->ttl_ms || e->loading ||
            atomic_load(&b->renewing) >= RENEWING || w->now_ms < atomic_load(&b->rest_until_ms));
}

static bool fresh(const struct api_blobs *b, const struct entry *e, const struct api_blob_want *w)
{
    return usable(e, w) && w->now_ms - e->loaded_ms < b->ttl_ms;
}

/* Takes a copy of the bytes; false without memory. */
static bool fill(struct stripe *s, struct entry *e, const void *blob, size_t bytes,
                 const struct api_blob_want *w)
{
    void *copy = bytes > 0 ? malloc(bytes) : NULL;
    if (bytes > 0 && copy == NULL)
        return false;
    if (bytes > 0)
        memcpy(copy, blob, bytes);
    free(e->blob);
    s->stats.bytes += bytes - e->bytes;
    s->stats.loads++;
    e->blob = copy;
    e->bytes = bytes;
    e->generation = w->generation;
    e->loaded_ms = w->now_ms; /* before the read, so never younger than the truth */
    e->filled = true;
    return true;
}

/* One statement for any number of homes; rows: home, blob. */
static enum pr_code query(struct api_blobs *b, int64_t run, const uint32_t *homes, size_t n,
                          PGresult **res, struct pr_err *err)
{
    struct pr_buf list;
    pr_buf_init(&list, 0);
    for (size_t i = 0; i < n; i++)
        pr_buf_printf(&list, "%s%u", i == 0 ? "{" : ",", homes[i]);
    pr_buf_str(&list, "}");
    struct pr_db *db = NULL;
    enum pr_code rc =
        list.failed ? pr_fail(err, PR_ENOMEM, "list of homes") : api_pool_take(b->pool, &db, err);
    if (rc == PR_OK) {
        rc = pr_db_exec_binary(
            db,
            "SELECT home, blob FROM route_bases "
            "WHERE kind = $1 AND run_id = $2 AND home = ANY ($3::int[])",
            PR_ARGS(pr_text(run == 0 ? "current" : "target"), pr_i64(run), pr_text(list.data)), res,
            err);
        api_pool_give(b->pool, db);
    }
    pr_buf_done(&list);
    return rc;
}

static uint32_t home_cell(const PGresult *res, int row)
{
    const unsigned char *p = (const unsigned char *)PQgetvalue(res, row, 0);
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Called without the lock, by the thread that set e->loading. */
static enum pr_code load(struct api_blobs *b, struct stripe *s, struct entry *e,
                         const struct api_blob_want *w, uint32_t partitions, struct pr_err *err)
{
    PR_AUTO(PGresult) *res = NULL;
    const char *blob = NULL;
    size_t bytes = 0;
    enum pr_code rc = query(b, e->key.run, &e->key.home, 1, &res, err);
    if (rc == PR_OK && PQntuples(res) > 0) {
        blob = PQgetvalue(res, 0, 1);
        bytes = (size_t)PQgetlength(res, 0, 1);
        rc = pr_routes_check(blob, bytes, partitions, err);
    }
    pthread_mutex_lock(&s->lock);
    if (rc == PR_OK && !fill(s, e, blob, bytes, w))
        rc = pr_fail(err, PR_ENOMEM, "blob of %zu bytes", bytes);
    e->loading = false;
    pthread_cond_broadcast(&s->loaded);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "routes of home partition %u", e->key.home);
    return PR_OK;
}

/* Returns with the lock held and *out usable, or with an error. */
static enum pr_code obtain(struct api_blobs *b, struct stripe *s, struct api_blob_key key,
                           const struct api_blob_want *w, uint32_t partitions, struct entry **out,
                           struct pr_err *err)
{
    for (;;) {
        struct entry *e = lookup(s, key);
        if (e != NULL && serves(b, e, w)) {
            s->stats.hits++;
            *out = e;
            return PR_OK;
        }
        if (w->here)
            return pr_fail(err, PR_EUNAVAIL, "routes of home partition %u are not here", key.home);
        if (e != NULL && e->loading) {
            pthread_cond_wait(&s->loaded, &s->lock);
            continue; /* it may have failed, or have been evicted again */
        }
        if (e == NULL && (e = add(s, key)) == NULL)
            return pr_fail(err, PR_ENOMEM, "routes of home partition %u", key.home);
        const bool renews = usable(e, w);
        e->loading = true;
        atomic_fetch_add(&b->renewing, renews);
        pthread_mutex_unlock(&s->lock);
        enum pr_code rc = load(b, s, e, w, partitions, err); /* takes the lock again */
        atomic_fetch_sub(&b->renewing, renews);
        if (rc != PR_OK)
            atomic_store(&b->rest_until_ms, pr_mono_us() / 1000 + REST_MS);
        if (rc != PR_OK && !usable(e, w)) {
            if (!e->filled)
                drop(s, e);
            return rc;
        }
        *out = e;
        return PR_OK;
    }
}

enum pr_code api_blobs_find(struct api_blobs *b, struct api_blob_key key,
                            const struct api_blob_want *want, uint32_t partitions, uint64_t hash,
                            bool *found, uint32_t *partition, struct pr_err *err)
{
    struct stripe *s = stripe_of(b, key);
    struct entry *e = NULL;
    pthread_mutex_lock(&s->lock);
    enum pr_code rc = obtain(b, s, key, want, partitions, &e, err);
    if (rc == PR_OK) {
        *found = pr_routes_find(e->blob, e->bytes, hash, partition);
        lru_remove(s, e);
        lru_push(s, e);
        evict(b, s, e);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static bool cold(struct api_blobs *b, struct api_blob_key key, const struct api_blob_want *w)
{
    struct stripe *s = stripe_of(b, key);
    pthread_mutex_lock(&s->lock);
    const struct entry *e = lookup(s, key);
    bool is_cold = e == NULL || (!e->loading && !fresh(b, e, w));
    pthread_mutex_unlock(&s->lock);
    return is_cold;
}

static void store(struct api_blobs *b, struct api_blob_key key, const void *blob, size_t bytes,
                  const struct api_blob_want *w)
{
    struct stripe *s = stripe_of(b, key);
    pthread_mutex_lock(&s->lock);
    struct entry *e = lookup(s, key);
    if (e == NULL)
        e = add(s, key);
    if (e != NULL && !e->loading && !fill(s, e, blob, bytes, w) && !e->filled)
        drop(s, e);
    evict(b, s, e);
    pthread_mutex_unlock(&s->lock);
}

void api_blobs_warm(struct api_blobs *b, int64_t run, const uint32_t *homes, size_t n,
                    const struct api_blob_want *want, uint32_t partitions)
{
    uint32_t *need = calloc(n + 1, sizeof *need);
    size_t m = 0;
    for (size_t i = 0; need != NULL && i < n; i++)
        if (cold(b, (struct api_blob_key){ run, homes[i] }, want))
            need[m++] = homes[i];
    PR_AUTO(PGresult) *res = NULL;
    if (m > 1 && query(b, run, need, m, &res, NULL) == PR_OK) {
        for (size_t i = 0; i < m; i++) { /* those without a row have no route */
            const void *blob = NULL;
            size_t bytes = 0;
            for (int r = 0; r < PQntuples(res) && blob == NULL; r++)
                if (home_cell(res, r) == need[i]) {
                    blob = PQgetvalue(res, r, 1);
                    bytes = (size_t)PQgetlength(res, r, 1);
                }
            if (pr_routes_check(blob, bytes, partitions, NULL) == PR_OK)
                store(b, (struct api_blob_key){ run, need[i] }, blob, bytes, want);
        }
    }
    free(need);
}

enum pr_code api_blobs_open(struct api_blobs **out, struct api_pool *pool, size_t max_bytes,
                            int64_t ttl_ms, struct pr_err *err)
{
    struct api_blobs *b = calloc(1, sizeof *b);
    if (b == NULL)
        return pr_fail(err, PR_ENOMEM, "blob cache");
    *b = (struct api_blobs){ .pool = pool, .stripe_bytes = max_bytes / STRIPES, .ttl_ms = ttl_ms };
    for (int i = 0; i < STRIPES; i++) {
        pthread_mutex_init(&b->stripe[i].lock, NULL);
        pthread_cond_init(&b->stripe[i].loaded, NULL);
    }
    *out = b;
    return PR_OK;
}

void api_blobs_close(struct api_blobs *b)
{
    if (b == NULL)
        return;
    for (int i = 0; i < STRIPES; i++) {
        struct stripe *s = &b->stripe[i];
        while (s->newest != NULL)
            drop(s, s->newest);
        pthread_cond_destroy(&s->loaded);
        pthread_mutex_destroy(&s->lock);
    }
    free(b);
}

void api_blobs_stats(struct api_blobs *b, struct api_blob_stats *out)
{
    *out = (struct api_blob_stats){ 0 };
    for (int i = 0; i < STRIPES; i++) {
        struct stripe *s = &b->stripe[i];
        pthread_mutex_lock(&s->lock);
        out->bytes += s->stats.bytes;
        out->entries += s->stats.entries;
        out->hits += s->stats.hits;
        out->loads += s->stats.loads;
        out->evicted += s->stats.evicted;
        pthread_mutex_unlock(&s->lock);
    }
}
