/* How soon a move that PostgreSQL has committed is seen in look-ups: as the executor commits it,
 * with its event in the outbox and a relay that publishes it, and without any event. Prints the
 * times; PRISM_FRESHNESS_MOVES in the environment asks for more moves. What is asserted is generous
 * (a busy machine); ./dev bench api judges by the goals. */
#include "api_fixture.h"
#include "api_wire.h"
#include "prism/io/db.h"
#include "prism/io/outbox.h"
#include "prism/v1/rebalance.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOVES = 100, SILENT_MOVES = 20, MOST = 1000, APART_MS = 20, SILENT_APART_MS = 400 };
enum { SOON_MS = 5000, LATE_MS = 30000, GIVE_UP_MS = 60000, ID = 24 };

static struct reply r;
static struct pr_db *db; /* as the executor */

struct moved {
    char id[ID];
    unsigned to;
    int64_t at_ms; /* committed; 0: not yet */
    double after_ms;
    bool seen;
};

struct order {
    const struct moved *m;
    int64_t plan, batch;
    bool tell;
};

/* As services/rebalance writes a batch that is routed: delta and event in one transaction. */
static enum pr_code route(struct pr_db *tx, void *ctx, struct pr_err *err)
{
    const struct order *o = ctx;
    char sql[400];
    PR_AUTO(PGresult) *row = NULL;
    (void)snprintf(
        sql, sizeof sql,
        "INSERT INTO route_deltas (plan_id, batch, entries, blob) VALUES (%lld, %lld, 1, "
        "%s) RETURNING id",
        (long long)o->plan, (long long)o->batch, api_blob(o->m->id, o->m->to));
    enum pr_code rc = pr_db_exec(tx, sql, NULL, 0, &row, err);
    if (rc != PR_OK || !o->tell)
        return rc;
    Prism__V1__RoutesChangedEvent e = PRISM__V1__ROUTES_CHANGED_EVENT__INIT;
    uint8_t packed[64];
    e.delta_id = (uint64_t)pr_cell_i64(row, 0, 0);
    e.plan_id = (uint64_t)o->plan;
    e.entries = 1;
    const size_t n = prism__v1__routes_changed_event__pack(&e, packed);
    return pr_outbox_add(tx, "prism.evt.rebalance.routes", packed, n, err);
}

static void commit(struct moved *m, int64_t plan, int64_t batch, bool tell)
{
    struct order o = { m, plan, batch, tell };
    struct pr_err err = { 0 };
    assert_ok(pr_db_tx(db, route, &o, &err), &err);
    m->at_ms = wire_now_ms();
}

/* Looks all up that are on their way; how many are seen by now. */
static size_t look(struct moved *m, size_t n)
{
    static char body[MOST * (ID + 3) + 20];
    size_t at = (size_t)snprintf(body, sizeof body, "{\"ids\":["), i, seen = 0;
    bool any = false;
    for (i = 0; i < n; i++)
        if (m[i].at_ms != 0 && !m[i].seen) {
            at +=
                (size_t)snprintf(body + at, sizeof body - at, "%s\"%s\"", any ? "," : "", m[i].id);
            any = true;
        }
    (void)snprintf(body + at, sizeof body - at, "]}");
    if (any) {
        api_call(&r, "viewer", "POST", "/v1/vertices:batchGet", body, NULL);
        assert_status(&r, 200);
    }
    const int64_t now_ms = wire_now_ms();
    size_t k = 0;
    for (i = 0; i < n; i++) {
        if (any && m[i].at_ms != 0 && !m[i].seen) {
            const json_t *v = json_array_get(json_object_get(r.j, "items"), k++);
            m[i].seen = json_integer_value(json_object_get(v, "partition")) == m[i].to;
            m[i].after_ms = (double)(now_ms - m[i].at_ms);
        }
        seen += m[i].seen;
    }
    return seen;
}

static int by_time(const void *a, const void *b)
{
    const double x = ((const struct moved *)a)->after_ms, y = ((const struct moved *)b)->after_ms;
    return x < y ? -1 : x > y;
}

/* Commits a move every apart_ms, and looks all the while; the p99. */
static double measure(const char *what, size_t n, int64_t plan, int apart_ms, bool tell)
{
    static struct moved m[MOST];
    const int64_t from_ms = wire_now_ms();
    memset(m, 0, sizeof m);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(m[i].id, sizeof m[i].id, "f%lld-%zu", (long long)plan, i);
        m[i].to = (api_home(m[i].id) + 7) % API_PARTITIONS;
    }
    for (size_t made = 0, seen = 0; seen < n; seen = look(m, n)) {
        const int64_t now_ms = wire_now_ms();
        if (made < n && now_ms >= from_ms + (int64_t)made * apart_ms) {
            commit(&m[made], plan, (int64_t)made + 1, tell);
            made++;
        }
        if (now_ms - from_ms > (int64_t)n * apart_ms + GIVE_UP_MS)
            fail_msg("%s: %zu of %zu moves seen", what, seen, n);
    }
    qsort(m, n, sizeof *m, by_time);
    const double p99 = m[(n - 1) * 99 / 100].after_ms;
    print_message("freshness %s: %zu moves, p50 %.0f ms, p99 %.0f ms, max %.0f ms\n", what, n,
                  m[n / 2].after_ms, p99, m[n - 1].after_ms);
    return p99;
}

static void with_events_a_move_is_seen_at_once(void **state)
{
    (void)state;
    const char *more = getenv("PRISM_FRESHNESS_MOVES");
    const size_t asked = more == NULL ? MOVES : strtoul(more, NULL, 10);
    struct pr_bus *bus = NULL;
    struct pr_relay *relay = NULL;
    struct pr_err err = { 0 };
    char uri[IT_URI];
    const struct pr_bus_options o = { .url = it_env("IT_NATS_URL"),
                                      .user = it_env("IT_NATS_ADMIN_USER"),
                                      .password = it_env("IT_NATS_ADMIN_PASSWORD"),
                                      .name = "it" };
    it_role_uri(fx.uri, "rebalance", uri);
    assert_ok(pr_bus_open(&bus, &o, &err), &err);
    assert_ok(pr_relay_start(&relay, uri, "it", bus, &err), &err);
    const double p99 =
        measure("with events", asked < 1 || asked > MOST ? MOVES : asked, 801, APART_MS, true);
    pr_relay_stop(relay);
    pr_bus_close(bus);
    assert_true(p99 <= SOON_MS);
}

static void without_events_it_is_seen_all_the_same(void **state)
{
    (void)state;
    assert_true(measure("without events", SILENT_MOVES, 802, SILENT_APART_MS, false) <= LATE_MS);
}

static int setup(void **state)
{
    char uri[IT_URI];
    struct pr_err err = { 0 };
    (void)api_small_setup(state);
    it_role_uri(fx.uri, "rebalance", uri);
    assert_ok(pr_db_open(&db, uri, "it executor", &err), &err);
    return 0;
}

static int teardown(void **state)
{
    pr_db_close(db);
    api_reply_done(&r);
    return api_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_events_a_move_is_seen_at_once),
        cmocka_unit_test(without_events_it_is_seen_all_the_same),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
