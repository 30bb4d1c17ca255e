#include "prism/io/outbox.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PAYLOAD_MAX = 512 * 1024,
    BATCH = 64,
    POLL_MS = 1000,
    TURN_MS = 200,       /* how late a stop is noticed */
    SET_ASIDE_MAX = 64,  /* rows that the bus refuses, tried again later */
    SET_ASIDE_MS = 1000, /* doubled on each refusal, to a minute */
    FAILURES_A_BATCH = 3,
    CLEAN_EVERY_MS = 3600 * 1000
};

/* --- inside the caller's transaction ------------------------------------- */

enum pr_code pr_outbox_add(struct pr_db *db, const char *subject, const void *payload, size_t n,
                           struct pr_err *err)
{
    if (n > PAYLOAD_MAX)
        return pr_fail(err, PR_EINVAL, "outbox %s: %zu bytes, at most %d: send a reference",
                       subject, n, PAYLOAD_MAX);
    return pr_db_exec(db, "INSERT INTO outbox (subject, payload, traceparent) VALUES ($1, $2, $3)",
                      PR_ARGS(pr_text(subject), pr_bytes(payload, n), pr_text(pr_log_trace_get())),
                      NULL, err);
}

enum pr_code pr_processed_once(struct pr_db *db, const char *consumer, const char *event_id,
                               bool *fresh, struct pr_err *err)
{
    PGresult *inserted = NULL;
    enum pr_code rc = pr_db_exec(db,
                                 "INSERT INTO processed (consumer, event_id) VALUES ($1, $2) "
                                 "ON CONFLICT DO NOTHING RETURNING true",
                                 PR_ARGS(pr_text(consumer), pr_text(event_id)), &inserted, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = inserted;
    *fresh = PQntuples(res) == 1;
    return PR_OK;
}

/* --- relay --------------------------------------------------------------- */

struct aside { /* a row that the bus refused while it took others */
    int64_t id, until_us;
    int pause_ms;
};

struct pr_relay {
    struct pr_db *db;
    struct pr_bus *bus;
    pthread_t thread;
    atomic_bool stop;
    /* of the thread: */
    struct aside aside[SET_ASIDE_MAX];
    size_t asides;
    size_t published, failed; /* of the batch in hand */
    int64_t next_clean_us;
    bool troubled;       /* said so already */
    bool unmarked;       /* for the connection that is now */
    uint64_t reconnects; /* of the bus, when it was done */
};

/* "{1,2}" of the rows to leave alone for now. */
static void asides_now(struct pr_relay *r, char *out, size_t size, int64_t now_us)
{
    size_t at = (size_t)snprintf(out, size, "{");
    for (size_t i = 0; i < r->asides; i++)
        if (r->aside[i].until_us > now_us)
            at += (size_t)snprintf(out + at, size - at, "%s%lld", at > 1 ? "," : "",
                                   (long long)r->aside[i].id);
    (void)snprintf(out + at, size - at, "}");
}

static void forget_aside(struct pr_relay *r, int64_t id)
{
    for (size_t i = 0; i < r->asides; i++)
        if (r->aside[i].id == id) {
            r->aside[i] = r->aside[--r->asides];
            return;
        }
}

static void set_aside(struct pr_relay *r, int64_t id)
{
    struct aside *a = NULL;
    for (size_t i = 0; a == NULL && i < r->asides; i++)
        if (r->aside[i].id == id)
            a = &r->aside[i];
    if (a == NULL) {
        if (r->asides == SET_ASIDE_MAX)
            return;
        a = &r->aside[r->asides++];
        *a = (struct aside){ .id = id, .pause_ms = SET_ASIDE_MS };
    }
    a->until_us = pr_mono_us() + (int64_t)a->pause_ms * 1000;
    a->pause_ms = a->pause_ms * 2 > 60000 ? 60000 : a->pause_ms * 2;
}

/* Network byte order, as binary results have it. */
static int64_t be64(const char *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | (uint8_t)p[i];
    return (int64_t)v;
}

static enum pr_code mark(struct pr_db *db, int64_t id, struct pr_err *err)
{
    return pr_db_exec(db,
                      "UPDATE outbox SET published_at = clock_timestamp() WHERE id = $1::bigint",
                      PR_ARGS(pr_i64(id)), NULL, err);
}

/* JetStream acknowledges before it has written to disk, so a server that comes
 * back may have lost what it took last (it syncs every 2 minutes). After each
 * start and reconnect the newest rows (of the last day) are sent again, before any
 * new one; a stream that has them knows their ids, and consumers do nothing twice. */
static enum pr_code unmark_newest(struct pr_relay *r, struct pr_err *err)
{
    static const char UNMARK[] =
        "UPDATE outbox SET published_at = NULL WHERE service = current_user "
        "AND published_at > clock_timestamp() - interval '1 day' AND published_at > "
        "(SELECT max(published_at) FROM outbox WHERE service = current_user) - interval '300 s'";
    struct pr_bus_stats stats;
    pr_bus_stats(r->bus, &stats);
    if (r->unmarked && stats.reconnects == r->reconnects)
        return PR_OK;
    enum pr_code rc = pr_db_exec(r->db, UNMARK, NULL, 0, NULL, err);
    r->unmarked = rc == PR_OK;
    r->reconnects = stats.reconnects;
    return rc;
}

static bool bus_is_up(struct pr_relay *r)
{
    struct pr_bus_stats stats;
    pr_bus_stats(r->bus, &stats);
    return stats.connected;
}

/* Publishing inside the transaction may be repeated with it: the id is the
 * same, so JetStream and the consumer's processed table take it once. */
static enum pr_code publish_batch(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct pr_relay *r = ctx;
    char aside[SET_ASIDE_MAX * 21 + 3];
    PGresult *rows = NULL;

    r->published = r->failed = 0;
    asides_now(r, aside, sizeof aside, pr_mono_us());
    enum pr_code rc = pr_db_exec_binary(
        db,
        "SELECT id, msg_id::text, subject, payload, traceparent FROM outbox "
        "WHERE published_at IS NULL AND service = current_user AND id <> ALL ($1::bigint[]) "
        "ORDER BY id LIMIT $2::int FOR UPDATE SKIP LOCKED",
        PR_ARGS(pr_text(aside), pr_i64(BATCH)), &rows, err);
    if (rc != PR_OK)
        return rc;

    PR_AUTO(PGresult) *res = rows;
    for (int i = 0; rc == PR_OK && i < PQntuples(res) && r->failed < FAILURES_A_BATCH; i++) {
        struct pr_err refusal = { 0 };
        int64_t id = be64(PQgetvalue(res, i, 0));
        enum pr_code sent = pr_bus_publish(r->bus, PQgetvalue(res, i, 2), PQgetvalue(res, i, 3),
                                           (size_t)PQgetlength(res, i, 3), PQgetvalue(res, i, 1),
                                           PQgetvalue(res, i, 4), &refusal);
        if (sent == PR_OK) {
            forget_aside(r, id);
            r->published++;
            rc = mark(db, id, err);
            continue;
        }
        r->failed++;
        pr_warn(PR_EV("outbox.publish_failed"), PR_I("id", id),
                PR_S("subject", PQgetvalue(res, i, 2)), PR_E(&refusal));
        if (!bus_is_up(r))
            break;
        set_aside(r, id); /* so that it does not hold up the rows behind it */
    }
    return rc;
}

/* The streams keep 7 days, so processed rows must outlive that. */
static enum pr_code clean(struct pr_relay *r, struct pr_err *err)
{
    static const char *const sql[] = {
        "DELETE FROM outbox WHERE ctid = ANY (ARRAY(SELECT ctid FROM outbox "
        "WHERE service = current_user AND published_at < now() - interval '7 days' LIMIT 10000))",
        "DELETE FROM processed WHERE ctid = ANY (ARRAY(SELECT ctid FROM processed "
        "WHERE at < now() - interval '8 days' LIMIT 10000))",
    };
    for (size_t i = 0; i < PR_COUNT(sql); i++) {
        enum pr_code rc = pr_db_exec(r->db, sql[i], NULL, 0, NULL, err);
        if (rc != PR_OK)
            return rc;
    }
    r->next_clean_us = pr_mono_us() + (int64_t)CLEAN_EVERY_MS * 1000;
    return PR_OK;
}

static enum pr_code relay_turn(struct pr_relay *r, struct pr_err *err)
{
    enum pr_code rc = unmark_newest(r, err);
    if (rc != PR_OK)
        return rc;
    do {
        if (!bus_is_up(r))
            return pr_fail(err, PR_EUNAVAIL, "NATS: not connected");
        rc = pr_db_tx(r->db, publish_batch, r, err);
    } while (rc == PR_OK && r->published == BATCH && !atomic_load(&r->stop));
    if (rc == PR_OK && pr_mono_us() >= r->next_clean_us)
        rc = clean(r, err);
    return rc;
}

/* Until there is news, POLL_MS are over, or we are to stop. */
static enum pr_code wait_for_news(struct pr_relay *r, struct pr_err *err)
{
    bool news = false;
    enum pr_code rc = PR_OK;
    for (int ms = 0; rc == PR_OK && !news && ms < POLL_MS && !atomic_load(&r->stop); ms += TURN_MS)
        rc = pr_db_wait(r->db, TURN_MS, &news, err);
    return rc;
}

static void pause_a_little(struct pr_relay *r)
{
    for (int ms = 0; ms < POLL_MS && !atomic_load(&r->stop); ms += TURN_MS)
        (void)nanosleep(&(struct timespec){ .tv_nsec = TURN_MS * 1000000L }, NULL);
}

static void *relay_thread(void *arg)
{
    struct pr_relay *r = arg;
    while (!atomic_load(&r->stop)) {
        struct pr_err err = { 0 };
        enum pr_code rc = relay_turn(r, &err);
        if (rc == PR_OK)
            rc = wait_for_news(r, &err);
        if (rc != PR_OK && !r->troubled)
            pr_warn(PR_EV("outbox.relay_waits"), PR_E(&err));
        if (rc == PR_OK && r->troubled)
            pr_info(PR_EV("outbox.relay_goes_on"));
        r->troubled = rc != PR_OK;
        if (rc != PR_OK)
            pause_a_little(r);
    }
    return NULL;
}

enum pr_code pr_relay_start(struct pr_relay **out, const char *db_uri, const char *name,
                            struct pr_bus *bus, struct pr_err *err)
{
    char connection[96];
    struct pr_relay *r = calloc(1, sizeof *r);
    if (r == NULL)
        return pr_fail(err, PR_ENOMEM, "outbox relay: no memory");
    r->bus = bus;
    (void)snprintf(connection, sizeof connection, "%.80s-relay", name);
    enum pr_code rc = pr_db_open(&r->db, db_uri, connection, err);
    if (rc != PR_OK) {
        free(r);
        return rc;
    }
    /* A database that is down is no reason to fail: connecting listens later. */
    struct pr_err later = { 0 };
    rc = pr_db_listen(r->db, "prism_outbox", &later);
    int failed =
        rc != PR_OK && !pr_retryable(rc) ? 0 : pthread_create(&r->thread, NULL, relay_thread, r);
    if ((rc == PR_OK || pr_retryable(rc)) && failed == 0) {
        *out = r;
        return PR_OK;
    }
    pr_db_close(r->db);
    free(r);
    return failed != 0 ? pr_fail(err, PR_ENOMEM, "outbox relay: thread: %s", strerror(failed))
                       : pr_fail(err, rc, "outbox relay: %s", later.text);
}

void pr_relay_stop(struct pr_relay *r)
{
    if (r == NULL)
        return;
    atomic_store(&r->stop, true);
    pthread_join(r->thread, NULL);
    pr_db_close(r->db);
    free(r);
}
