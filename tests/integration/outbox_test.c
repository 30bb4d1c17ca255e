#include "t.h"

#include "it.h"
#include "own_nats.h"
#include "prism/io/log.h"
#include "prism/io/outbox.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 512 };

static struct own_nats nats;
static char uri[IT_URI], as_placement[IT_URI];

static int start(void **state)
{
    (void)state;
    own_nats_start(&nats);
    own_nats_add_durable(&nats, "PRISM_EVT", "witness", "prism.evt.>", 30000);
    it_database("outbox", uri);
    it_role_uri(uri, "placement", as_placement);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    own_nats_stop(&nats);
    return 0;
}

/* Counts deliveries of each numbered payload. */
struct witness {
    pthread_mutex_t mu;
    int seen[MAX_ROWS], distinct, want, processed;
    char id[64], trace[80];
    struct pr_db *db; /* NULL: does not record what it has processed */
};

struct effect {
    const char *id;
    bool fresh;
};

static enum pr_code take_effect(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct effect *e = ctx;
    return pr_processed_once(db, "witness", e->id, &e->fresh, err);
}

static enum pr_code testify(void *ctx, const struct pr_msg *m, struct pr_err *err)
{
    struct witness *w = ctx;
    struct effect e = { .id = m->id };
    int n = atoi(m->data);
    if (w->db != NULL) {
        enum pr_code rc = pr_db_tx(w->db, take_effect, &e, err);
        if (rc != PR_OK)
            return rc;
    }
    pthread_mutex_lock(&w->mu);
    w->distinct += w->seen[n]++ == 0;
    w->processed += e.fresh;
    (void)snprintf(w->id, sizeof w->id, "%s", m->id);
    (void)snprintf(w->trace, sizeof w->trace, "%s", m->traceparent);
    pthread_mutex_unlock(&w->mu);
    return PR_OK;
}

static bool has_seen_enough(void *ctx)
{
    struct witness *w = ctx;
    pthread_mutex_lock(&w->mu);
    bool enough = w->distinct >= w->want;
    pthread_mutex_unlock(&w->mu);
    return enough;
}

static struct pr_bus *witness_open(struct witness *w)
{
    struct pr_err err = { 0 };
    struct pr_bus *bus = own_nats_bus(&nats, "tester");
    *w = (struct witness){ .want = 0 };
    pthread_mutex_init(&w->mu, NULL);
    assert_ok(pr_bus_consume(bus, "PRISM_EVT", "witness", 1, testify, w, &err), &err);
    return bus;
}

static bool await_witness(struct witness *w, int want, int timeout_ms)
{
    pthread_mutex_lock(&w->mu);
    w->want = want;
    pthread_mutex_unlock(&w->mu);
    return it_await(has_seen_enough, w, timeout_ms);
}

static struct pr_db *open_db(const char *as)
{
    struct pr_db *db = NULL;
    struct pr_err err = { 0 };
    assert_ok(pr_db_open(&db, as, "outbox-test", &err), &err);
    return db;
}

struct rows {
    int first, n;
    const char *subject; /* NULL: prism.evt.placement.finished */
    enum pr_code answer;
};

static enum pr_code add_rows(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct rows *r = ctx;
    for (int i = r->first; i < r->first + r->n; i++) {
        char text[16];
        int len = snprintf(text, sizeof text, "%d", i);
        enum pr_code rc =
            pr_outbox_add(db, r->subject == NULL ? "prism.evt.placement.finished" : r->subject,
                          text, (size_t)len + 1, err);
        if (rc != PR_OK)
            return rc;
    }
    return r->answer == PR_OK ? PR_OK : pr_fail(err, r->answer, "no");
}

static void add(struct pr_db *db, int first, int n, const char *subject)
{
    struct pr_err err = { 0 };
    assert_ok(
        pr_db_tx(db, add_rows, &(struct rows){ .first = first, .n = n, .subject = subject }, &err),
        &err);
}

static struct pr_relay *relay(const char *as, struct pr_bus *bus)
{
    struct pr_relay *r = NULL;
    struct pr_err err = { 0 };
    assert_ok(pr_relay_start(&r, as, "test", bus, &err), &err);
    return r;
}

static bool nothing_unpublished(void *ctx)
{
    char cell[16];
    (void)ctx;
    it_sql(uri, "SELECT count(*) FROM outbox WHERE published_at IS NULL", cell, sizeof cell);
    return strcmp(cell, "0") == 0;
}

static void clear(void)
{
    it_sql(uri, "DELETE FROM outbox", NULL, 0);
}

/* -------------------------------------------------------------------------- */

static void a_committed_row_is_published_with_its_id_and_trace(void **state)
{
    static const char TRACE[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    struct witness w;
    struct pr_bus *tester = witness_open(&w), *bus = own_nats_bus(&nats, "placement");
    struct pr_db *db = open_db(as_placement);
    struct pr_relay *r = relay(as_placement, bus);
    char id[64];
    (void)state;

    clear();
    pr_log_trace(TRACE);
    add(db, 1, 1, NULL);
    pr_log_trace(NULL);
    assert_true(await_witness(&w, 1, 5000));
    it_sql(uri, "SELECT msg_id FROM outbox", id, sizeof id);
    assert_string_equal(w.id, id);
    assert_string_equal(w.trace, TRACE);
    assert_true(it_await(nothing_unpublished, NULL, 5000));
    pr_relay_stop(r);
    pr_db_close(db);
    pr_bus_close(bus);
    pr_bus_close(tester);
}

static void a_rolled_back_row_is_not_published(void **state)
{
    struct witness w;
    struct pr_bus *tester = witness_open(&w), *bus = own_nats_bus(&nats, "placement");
    struct pr_db *db = open_db(as_placement);
    struct pr_relay *r = relay(as_placement, bus);
    struct pr_err err = { 0 };
    (void)state;

    clear();
    assert_int_equal(
        pr_db_tx(db, add_rows, &(struct rows){ .first = 1, .n = 3, .answer = PR_ECONFLICT }, &err),
        PR_ECONFLICT);
    add(db, 9, 1, NULL); /* comes after, and arrives */
    assert_true(await_witness(&w, 1, 5000));
    assert_int_equal(w.seen[9], 1);
    assert_int_equal(w.seen[1] + w.seen[2] + w.seen[3], 0);
    pr_relay_stop(r);
    pr_db_close(db);
    pr_bus_close(bus);
    pr_bus_close(tester);
}

static void a_restarted_relay_publishes_the_rest_and_nothing_twice(void **state)
{
    struct witness w;
    struct pr_bus *tester = witness_open(&w), *bus = own_nats_bus(&nats, "placement");
    struct pr_db *db = open_db(as_placement);
    (void)state;

    clear();
    add(db, 0, 100, NULL);
    struct pr_relay *r = relay(as_placement, bus);
    assert_true(await_witness(&w, 10, 10000));
    pr_relay_stop(r); /* somewhere in between */
    add(db, 100, 100, NULL);
    r = relay(as_placement, bus);
    assert_true(await_witness(&w, 200, 20000));
    assert_true(it_await(nothing_unpublished, NULL, 5000));
    /* Marked as if the acknowledgement had never been seen: sent again under
     * the same ids, which the stream knows. */
    it_sql(uri, "UPDATE outbox SET published_at = NULL", NULL, 0);
    assert_true(it_await(nothing_unpublished, NULL, 10000));
    add(db, 200, 1, NULL);
    assert_true(await_witness(&w, 201, 5000));
    for (int i = 0; i <= 200; i++)
        assert_int_equal(w.seen[i], 1);
    pr_relay_stop(r);
    pr_db_close(db);
    pr_bus_close(bus);
    pr_bus_close(tester);
}

/* A relay's first turn begins with what was published last, which is not for this test. */
static bool both_have_looked(void *ctx)
{
    char cell[16];
    (void)ctx;
    it_sql(uri,
           "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'test-relay' "
           "AND state = 'idle' AND (query = 'COMMIT' OR query LIKE 'DELETE FROM processed%')",
           cell, sizeof cell);
    return strcmp(cell, "2") == 0;
}

static void two_relays_share_the_rows(void **state)
{
    struct witness w;
    clear(); /* a new relay would send the newest again */
    struct pr_bus *tester = witness_open(&w);
    struct pr_bus *bus[2] = { own_nats_bus(&nats, "placement"), own_nats_bus(&nats, "placement") };
    struct pr_db *db = open_db(as_placement);
    struct pr_relay *r[2] = { relay(as_placement, bus[0]), relay(as_placement, bus[1]) };
    uint64_t published = 0;
    (void)state;

    assert_true(it_await(both_have_looked, NULL, 10000));
    add(db, 0, 300, NULL);
    assert_true(await_witness(&w, 300, 20000));
    assert_true(it_await(nothing_unpublished, NULL, 5000));
    for (int i = 0; i < 2; i++) {
        struct pr_bus_stats s;
        pr_bus_stats(bus[i], &s);
        published += s.published;
        pr_relay_stop(r[i]);
        pr_bus_close(bus[i]);
    }
    assert_int_equal(published, 300); /* no row by both */
    pr_db_close(db);
    pr_bus_close(tester);
}

static void another_services_rows_are_left_alone(void **state)
{
    struct witness w;
    char as_rebalance[IT_URI], cell[16];
    it_role_uri(uri, "rebalance", as_rebalance);
    struct pr_bus *tester = witness_open(&w), *bus = own_nats_bus(&nats, "placement");
    struct pr_db *db = open_db(as_placement), *other = open_db(as_rebalance);
    (void)state;

    clear();
    add(other, 1, 1, "prism.evt.rebalance.routes");
    add(db, 2, 1, NULL);
    struct pr_relay *r = relay(as_placement, bus);
    assert_true(await_witness(&w, 1, 5000));
    assert_int_equal(w.seen[2], 1);
    it_sql(uri, "SELECT count(*) FROM outbox WHERE published_at IS NULL", cell, sizeof cell);
    assert_string_equal(cell, "1");
    pr_relay_stop(r);
    pr_db_close(db);
    pr_db_close(other);
    pr_bus_close(bus);
    pr_bus_close(tester);
}

static void a_row_that_nobody_takes_does_not_hold_up_the_others(void **state)
{
    struct witness w;
    struct pr_bus *tester = witness_open(&w);
    struct pr_db *db = open_db(uri);
    struct pr_relay *r = relay(uri, tester); /* may publish anything */
    char cell[16];
    (void)state;

    clear();
    add(db, 1, 3, "no.stream.takes.this");
    add(db, 4, 5, NULL);
    assert_true(await_witness(&w, 5, 10000));
    it_sql(uri, "SELECT count(*) FROM outbox WHERE published_at IS NULL", cell, sizeof cell);
    assert_string_equal(cell, "3"); /* kept, and tried again */
    pr_relay_stop(r);
    pr_db_close(db);
    pr_bus_close(tester);
}

static void a_relay_outlives_its_database_connection(void **state)
{
    struct witness w;
    struct pr_bus *tester = witness_open(&w), *bus = own_nats_bus(&nats, "placement");
    struct pr_db *db = open_db(as_placement);
    struct pr_relay *r = relay(as_placement, bus);
    (void)state;

    clear();
    for (int i = 0; i < 5; i++) {
        add(db, i * 20, 20, NULL);
        it_sql(uri,
               "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
               "WHERE application_name = 'test-relay'",
               NULL, 0);
    }
    assert_true(await_witness(&w, 100, 20000));
    pr_relay_stop(r);
    pr_db_close(db);
    pr_bus_close(bus);
    pr_bus_close(tester);
}

static void nothing_is_lost_when_the_bus_is_killed(void **state)
{
    struct witness w;
    struct pr_bus *tester = witness_open(&w), *bus = own_nats_bus(&nats, "placement");
    struct pr_db *db = open_db(as_placement);
    struct pr_relay *r = relay(as_placement, bus);
    (void)state;

    clear();
    /* A killed server may forget acks of a moment ago: the tests before would come again,
     * and nobody has recorded theirs as processed. */
    own_nats_purge(&nats, "PRISM_EVT");
    w.db = open_db(as_placement);
    add(db, 0, 200, NULL);
    assert_true(await_witness(&w, 20, 10000));
    own_nats_kill(&nats); /* with acks and deliveries under way */
    add(db, 200, 50, NULL);
    own_nats_restart(&nats);
    add(db, 250, 50, NULL);
    assert_true(await_witness(&w, 300, 60000));
    assert_true(it_await(nothing_unpublished, NULL, 20000));
    assert_int_equal(w.processed, 300); /* delivered perhaps twice, done once */
    pr_relay_stop(r);
    pr_bus_close(bus);
    pr_bus_close(tester);
    pr_db_close(w.db);
    pr_db_close(db);
}

/* The server acknowledged rows, and came back without them. */
static void what_the_bus_forgot_is_published_again(void **state)
{
    struct witness w;
    struct pr_bus *tester = witness_open(&w), *bus = own_nats_bus(&nats, "placement");
    struct pr_db *db = open_db(as_placement);
    struct pr_relay *r = relay(as_placement, bus);
    (void)state;

    clear();
    add(db, 0, 20, NULL);
    assert_true(await_witness(&w, 20, 10000));
    assert_true(it_await(nothing_unpublished, NULL, 5000));
    pr_bus_close(tester);

    own_nats_kill(&nats);
    own_nats_forget(&nats);
    own_nats_restart(&nats);
    own_nats_set_up(&nats);
    own_nats_add_durable(&nats, "PRISM_EVT", "witness", "prism.evt.>", 30000);
    tester = witness_open(&w);
    assert_true(await_witness(&w, 20, 30000));
    pr_relay_stop(r);
    pr_db_close(db);
    pr_bus_close(bus);
    pr_bus_close(tester);
}

static void an_event_is_processed_once(void **state)
{
    struct pr_db *db = open_db(as_placement);
    struct pr_err err = { 0 };
    struct effect e = { .id = "once-1" };
    (void)state;

    assert_ok(pr_db_tx(db, take_effect, &e, &err), &err);
    assert_true(e.fresh);
    assert_ok(pr_db_tx(db, take_effect, &e, &err), &err);
    assert_false(e.fresh);
    bool fresh = false; /* another consumer has its own */
    assert_ok(pr_processed_once(db, "another", "once-1", &fresh, &err), &err);
    assert_true(fresh);
    pr_db_close(db);
}

static void a_payload_over_the_limit_is_refused(void **state)
{
    struct pr_db *db = open_db(as_placement);
    struct pr_err err = { 0 };
    char *big = calloc(1, 512 * 1024 + 1);
    (void)state;

    assert_non_null(big);
    assert_int_equal(pr_outbox_add(db, "prism.evt.placement.x", big, 512 * 1024 + 1, &err),
                     PR_EINVAL);
    assert_non_null(strstr(err.text, "524289"));
    assert_ok(pr_outbox_add(db, "prism.evt.placement.x", big, 512 * 1024, &err), &err);
    free(big);
    clear();
    pr_db_close(db);
}

static bool old_ones_are_gone(void *ctx)
{
    char cell[64];
    (void)ctx;
    it_sql(uri,
           "SELECT (SELECT count(*) FROM outbox) || ',' || "
           "(SELECT string_agg(event_id, ',' ORDER BY event_id) FROM processed "
           "WHERE consumer = 'clean')",
           cell, sizeof cell);
    return strcmp(cell, "1,7d") == 0;
}

static void old_rows_are_deleted_and_processed_ones_outlive_the_stream(void **state)
{
    struct pr_bus *bus = own_nats_bus(&nats, "placement");
    (void)state;

    clear();
    it_sql(uri,
           "INSERT INTO outbox (service, subject, payload, published_at) VALUES "
           "('prism_placement', 'x', '', now() - interval '7 days 1 hour'), "
           "('prism_placement', 'x', '', now() - interval '6 days 23 hours');"
           "INSERT INTO processed VALUES ('clean', '7d', now() - interval '7 days 1 hour'), "
           "('clean', '8d', now() - interval '8 days 1 hour')",
           NULL, 0);
    struct pr_relay *r = relay(as_placement, bus);
    assert_true(it_await(old_ones_are_gone, NULL, 5000));
    pr_relay_stop(r);
    pr_bus_close(bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_committed_row_is_published_with_its_id_and_trace),
        cmocka_unit_test(a_rolled_back_row_is_not_published),
        cmocka_unit_test(a_restarted_relay_publishes_the_rest_and_nothing_twice),
        cmocka_unit_test(two_relays_share_the_rows),
        cmocka_unit_test(another_services_rows_are_left_alone),
        cmocka_unit_test(a_row_that_nobody_takes_does_not_hold_up_the_others),
        cmocka_unit_test(a_relay_outlives_its_database_connection),
        cmocka_unit_test(nothing_is_lost_when_the_bus_is_killed),
        cmocka_unit_test(what_the_bus_forgot_is_published_again),
        cmocka_unit_test(an_event_is_processed_once),
        cmocka_unit_test(a_payload_over_the_limit_is_refused),
        cmocka_unit_test(old_rows_are_deleted_and_processed_ones_outlive_the_stream),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
