/* Collecting from NATS: how much waits for a JetStream consumer, and what members publish of
 * themselves. */
#include "t.h"

#include "io/collectors/bus.h"
#include "io/collectors/jetstream.h"
#include "io/samples.h"

#include "it.h"
#include "own_nats.h"

#include "prism/io/clock.h"
#include "prism/v1/autoscale.pb-c.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct own_nats nats;
static char uri[IT_URI];
static struct pr_arena arena;
static struct autoscale_readings got;

static void pause_ms(long ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
    while (nanosleep(&t, &t) != 0) {
    }
}

static void begin_readings(void)
{
    got = (struct autoscale_readings){ .arena = &arena };
}

static int setup(void **state)
{
    (void)state;
    it_database("collect", uri);
    own_nats_start(&nats);
    pr_arena_init(&arena, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    own_nats_stop(&nats);
    pr_arena_done(&arena);
    return 0;
}

/* --- JetStream ----------------------------------------------------------- */

static enum pr_code lag(struct pr_bus *bus, const char *stream, const char *consumer, double *out,
                        struct pr_err *err)
{
    const struct autoscale_jetstream ask = { stream, consumer, 2000 };
    const struct autoscale_span when = { .now_ms = pr_now_ms() };
    begin_readings();
    const enum pr_code rc = autoscale_collect_jetstream(bus, &ask, &when, &got, err);
    assert_int_equal(got.n, 1);
    assert_string_equal(got.reading[0].member, "");
    *out = got.reading[0].value[AUTOSCALE_BACKLOG];
    return rc;
}

static void expect_lag(struct pr_bus *bus, double want)
{
    struct pr_err err = { 0 };
    double n = NAN;
    assert_ok(lag(bus, "PRISM_EDGES", "lag", &n, &err), &err);
    if (n != want)
        fail_msg("lag is %g, want %g", n, want);
}

struct gate {
    atomic_bool open;
    atomic_int entered, left;
};

static enum pr_code wait_at(void *ctx, const struct pr_msg *msg, struct pr_err *err)
{
    struct gate *g = ctx;
    (void)msg;
    (void)err;
    atomic_fetch_add(&g->entered, 1);
    while (!atomic_load(&g->open))
        pause_ms(5);
    atomic_fetch_add(&g->left, 1);
    return PR_OK;
}

static bool one_entered(void *ctx)
{
    return atomic_load(&((struct gate *)ctx)->entered) > 0;
}

static bool nothing_waits(void *ctx)
{
    double n = NAN;
    struct pr_err err = { 0 };
    return lag(ctx, "PRISM_EDGES", "lag", &n, &err) == PR_OK && n == 0;
}

static void what_is_delivered_waits_until_it_is_acknowledged(void **state)
{
    (void)state;
    struct pr_bus *bus = own_nats_bus(&nats, "tester"), *worker = own_nats_bus(&nats, "tester");
    struct gate gate = { 0 };
    struct pr_err err = { 0 };
    own_nats_add_durable(&nats, "PRISM_EDGES", "lag", "prism.edges.lag", 30000);
    expect_lag(bus, 0);
    for (int i = 0; i < 5; i++)
        assert_ok(pr_bus_publish(bus, "prism.edges.lag", "x", 1, NULL, NULL, &err), &err);
    expect_lag(bus, 5);
    assert_ok(pr_bus_consume(worker, "PRISM_EDGES", "lag", 1, wait_at, &gate, &err), &err);
    assert_true(it_await(one_entered, &gate, 10000));
    expect_lag(bus, 5); /* all delivered, none acknowledged: not 0 */
    atomic_store(&gate.open, true);
    assert_true(it_await(nothing_waits, bus, 10000));
    pr_bus_close(worker);
    pr_bus_close(bus);
}

static void a_missing_consumer_is_unknown_not_idle(void **state)
{
    (void)state;
    static const struct {
        const char *stream, *consumer;
        enum pr_code want;
        const char *says;
    } row[] = {
        { "PRISM_EDGES", "nosuch", PR_ENOTFOUND, "consumer not found" },
        { "NOSUCH", "lag", PR_ENOTFOUND, "stream not found" },
        { "PRISM_EDGES", "a.b", PR_EINVAL, "not a name" },
        { "PRISM_EDGES", ">", PR_EINVAL, "not a name" },
        { "", "lag", PR_EINVAL, "not a name" },
    };
    struct pr_bus *bus = own_nats_bus(&nats, "tester");
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        double n = 0;
        struct pr_err err = { 0 };
        const enum pr_code rc = lag(bus, row[i].stream, row[i].consumer, &n, &err);
        if (rc != row[i].want || strstr(err.text, row[i].says) == NULL ||
            strstr(err.text, row[i].consumer) == NULL)
            fail_msg("row %zu: %s: %s", i, pr_code_name(rc), err.text);
        assert_true(isnan(n));
        assert_non_null(strstr(got.reading[0].why, row[i].says));
    }
    pr_bus_close(bus);
}

static void who_may_not_ask_knows_nothing(void **state)
{
    (void)state;
    struct pr_bus *bus = own_nats_bus(&nats, "placement");
    double n = 0;
    struct pr_err err = { 0 };
    assert_int_not_equal(lag(bus, "PRISM_EDGES", "lag", &n, &err), PR_OK);
    assert_true(isnan(n));
    assert_ok(lag(bus, "PRISM_CMD", "placement", &n, &err), &err);
    assert_true(n == 0);
    pr_bus_close(bus);
}

static void answers_of_jetstream(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum pr_code want;
        double lag;
    } row[] = {
        { "{\"num_pending\":3,\"num_ack_pending\":4}", PR_OK, 7 },
        { "{\"num_pending\":0,\"num_ack_pending\":0,\"cluster\":{\"leader\":\"n1\"}}", PR_OK, 0 },
        { "{\"num_pending\":9,\"num_ack_pending\":0,\"cluster\":{\"leader\":\"\"}}", PR_EUNAVAIL,
          0 },
        { "{\"num_pending\":9,\"num_ack_pending\":0,\"cluster\":{\"name\":\"c\"}}", PR_EUNAVAIL,
          0 },
        { "{\"num_pending\":9}", PR_EDATA, 0 },
        { "{\"num_ack_pending\":9}", PR_EDATA, 0 },
        { "{\"num_pending\":-1,\"num_ack_pending\":9}", PR_EDATA, 0 },
        { "{\"num_pending\":\"1\",\"num_ack_pending\":9}", PR_EDATA, 0 },
        { "{\"num_pending\":1.5,\"num_ack_pending\":9}", PR_EDATA, 0 },
        { "{\"error\":{\"code\":404,\"err_code\":10014,\"description\":\"consumer not found\"}}",
          PR_ENOTFOUND, 0 },
        { "{\"error\":{\"code\":503,\"err_code\":10008,\"description\":\"away\"}}", PR_EUNAVAIL,
          0 },
        { "{\"error\":{\"code\":400,\"err_code\":10003,\"description\":\"bad\"}}", PR_EINVAL, 0 },
        { "{\"error\":{}}", PR_EINVAL, 0 },
        { "[]", PR_EDATA, 0 },
        { "", PR_EDATA, 0 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        double n = -5;
        struct pr_err err = { 0 };
        const enum pr_code rc =
            autoscale_jetstream_read(row[i].body, strlen(row[i].body), &n, &err);
        if (rc != row[i].want)
            fail_msg("%s: %s", row[i].body, pr_code_name(rc));
        assert_true(n == (rc == PR_OK ? row[i].lag : -5));
    }
}

/* --- prism.metrics.member ------------------------------------------------ */

static size_t pack(const Prism__V1__MemberMetricsEvent *e, uint8_t out[512])
{
    const size_t n = prism__v1__member_metrics_event__get_packed_size(e);
    assert_true(n <= 512);
    return prism__v1__member_metrics_event__pack(e, out);
}

static Prism__V1__MemberMetricsEvent event(const char *fleet, const char *member, int64_t at_ms)
{
    Prism__V1__MemberMetricsEvent e = PRISM__V1__MEMBER_METRICS_EVENT__INIT;
    e.fleet = (char *)(uintptr_t)fleet;
    e.member_id = (char *)(uintptr_t)member;
    e.zone = (char *)(uintptr_t) "a";
    e.at_ms = at_ms;
    e.cpu_case = PRISM__V1__MEMBER_METRICS_EVENT__CPU_CPU_PCT;
    e.cpu_pct = 12.5;
    return e;
}

static enum pr_code read_event(const Prism__V1__MemberMetricsEvent *e,
                               struct autoscale_bus_message *m, struct pr_err *err)
{
    uint8_t raw[512];
    return autoscale_bus_read(raw, pack(e, raw), 5000, m, err);
}

static void what_a_message_does_not_say_is_unknown(void **state)
{
    (void)state;
    struct autoscale_bus_message m;
    struct pr_err err = { 0 };
    Prism__V1__MemberMetricsEvent e = event("hot", "n1", 4000);
    e.load_case = PRISM__V1__MEMBER_METRICS_EVENT__LOAD_LOAD_RATIO;
    e.load_ratio = 1.25;
    assert_ok(read_event(&e, &m, &err), &err);
    assert_string_equal(m.fleet, "hot");
    assert_string_equal(m.reading.member, "n1");
    assert_string_equal(m.reading.zone, "a");
    assert_int_equal(m.reading.at_ms, 4000);
    assert_int_equal(m.reading.received_ms, 5000);
    assert_true(m.reading.value[AUTOSCALE_CPU] == 12.5);
    assert_true(m.reading.value[AUTOSCALE_LOAD] == 1.25);
    assert_true(isnan(m.reading.value[AUTOSCALE_MEMORY])); /* absent: not 0 */
    assert_true(isnan(m.reading.value[AUTOSCALE_NETWORK]));
    assert_true(isnan(m.reading.value[AUTOSCALE_BACKLOG]));
    e.cpu_pct = 0; /* a zero that is said is a zero */
    assert_ok(read_event(&e, &m, &err), &err);
    assert_true(m.reading.value[AUTOSCALE_CPU] == 0);
}

static void bad_messages_say_what_is_wrong(void **state)
{
    (void)state;
    char longest[129];
    memset(longest, 'x', 128);
    longest[128] = '\0';
    Prism__V1__MemberMetricsEvent row[] = {
        event("", "n1", 1),     event("hot", "", 1),     event("hot", "n1", 0),
        event("hot", "n1", -1), event("hot", "n\n1", 1), event("hot", longest, 1),
        event("hot", "n1", 1),  event(longest, "n1", 1),
    };
    static const char *const says[] = { "fleet",     "member_id", "no time",        "no time",
                                        "not print", "128 bytes", "not one figure", "fleet" };
    struct autoscale_bus_message m;
    row[6].cpu_case = PRISM__V1__MEMBER_METRICS_EVENT__CPU__NOT_SET;
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_err err = { 0 };
        assert_int_equal(read_event(&row[i], &m, &err), PR_EDATA);
        if (strstr(err.text, says[i]) == NULL)
            fail_msg("row %zu: %s", i, err.text);
    }
    assert_int_equal(autoscale_bus_read("\xff\xff", 2, 1, &m, NULL), PR_EDATA);
    assert_int_equal(autoscale_bus_read("", 0, 1, &m, NULL), PR_EDATA);
}

static struct pr_db *store(void)
{
    const struct autoscale_retention keep = { .samples_days = 7, .readings_hours = 3 };
    char as[IT_URI + 64];
    struct pr_db *db = NULL;
    struct pr_err err = { 0 };
    int dropped;
    it_sql(uri,
           "INSERT INTO autoscale_fleets (name, settings, changed_by) VALUES ('hot', '{}', "
           "'it') ON CONFLICT DO NOTHING",
           NULL, 0);
    snprintf(as, sizeof as, "%s?options=-crole%%3Dprism_autoscale", uri);
    assert_ok(pr_db_open(&db, as, "collect", &err), &err);
    assert_ok(autoscale_partitions_keep(db, pr_now_ms(), &keep, &dropped, &err), &err);
    return db;
}

static void publish(struct pr_bus *bus, const Prism__V1__MemberMetricsEvent *e)
{
    uint8_t raw[512];
    struct pr_err err = { 0 };
    assert_ok(pr_bus_publish(bus, "prism.metrics.member", raw, pack(e, raw), NULL, NULL, &err),
              &err);
}

struct counts {
    struct autoscale_bus *bus;
    struct pr_bus *listener;
    unsigned long long stored, again, too_old;
    uint64_t dead;
};

static bool reached(void *ctx)
{
    const struct counts *c = ctx;
    struct pr_bus_stats s;
    pr_bus_stats(c->listener, &s);
    return atomic_load(&c->bus->stored) == c->stored && atomic_load(&c->bus->again) == c->again &&
           atomic_load(&c->bus->too_old) == c->too_old && s.dead == c->dead;
}

static void readings_that_members_publish_are_stored_once(void **state)
{
    (void)state;
    struct autoscale_bus into = { .db = store(), .now_ms = pr_now_ms };
    struct pr_bus *bus = own_nats_bus(&nats, "tester"), *listener = own_nats_bus(&nats, "tester");
    struct counts c = { &into, listener, .stored = 2, .again = 1, .too_old = 1, .dead = 3 };
    struct pr_err err = { 0 };
    const int64_t now = pr_now_ms();
    Prism__V1__MemberMetricsEvent e = event("hot", "n1", now);
    publish(bus, &e); /* before anybody listens: kept */
    assert_ok(pr_bus_consume(listener, "PRISM_METRICS", "autoscale", 1, autoscale_bus_on_member,
                             &into, &err),
              &err);
    publish(bus, &e); /* once more: changes nothing */
    e.at_ms = now + 1;
    publish(bus, &e);
    e.at_ms = now - 2 * AUTOSCALE_READING_PAST_MS;
    publish(bus, &e);
    e = event("nosuch", "n1", now); /* bad ones go to the dead letters, one by one */
    publish(bus, &e);
    e = event("hot", "n1", now + 86400000);
    publish(bus, &e);
    e = event("hot", "", now);
    publish(bus, &e);
    if (!it_await(reached, &c, 15000)) {
        struct pr_bus_stats s;
        pr_bus_stats(listener, &s);
        fail_msg("stored %llu, again %llu, too old %llu, dead %llu", atomic_load(&into.stored),
                 atomic_load(&into.again), atomic_load(&into.too_old), (unsigned long long)s.dead);
    }
    struct own_letter letter;
    own_nats_last_letter(&nats, &letter);
    assert_string_equal(letter.at, "prism.dlq.autoscale");
    assert_non_null(strstr(letter.reason, "member_id is empty"));

    struct autoscale_reading *r = NULL;
    size_t n = 0;
    assert_ok(autoscale_readings_load(into.db, &arena, "hot", now - 1, now + 1, &r, &n, &err),
              &err);
    assert_int_equal(n, 2);
    assert_string_equal(r[0].member, "n1");
    assert_string_equal(r[0].source, "bus");
    assert_true(r[0].value[AUTOSCALE_CPU] == 12.5);
    assert_true(isnan(r[0].value[AUTOSCALE_MEMORY]));
    pr_bus_close(listener);
    pr_bus_close(bus);
    pr_db_close(into.db);
}

/* Last: it takes the server away. */
static void while_nats_is_away_the_lag_is_unknown(void **state)
{
    (void)state;
    struct pr_bus *bus = own_nats_bus(&nats, "tester");
    double n = 0;
    struct pr_err err = { 0 };
    own_nats_kill(&nats);
    const enum pr_code rc = lag(bus, "PRISM_EDGES", "lag", &n, &err);
    assert_true(rc == PR_EUNAVAIL || rc == PR_ETIMEOUT);
    assert_true(isnan(n));
    assert_int_not_equal(got.reading[0].why[0], '\0');
    pr_bus_close(bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_delivered_waits_until_it_is_acknowledged),
        cmocka_unit_test(a_missing_consumer_is_unknown_not_idle),
        cmocka_unit_test(who_may_not_ask_knows_nothing),
        cmocka_unit_test(answers_of_jetstream),
        cmocka_unit_test(what_a_message_does_not_say_is_unknown),
        cmocka_unit_test(bad_messages_say_what_is_wrong),
        cmocka_unit_test(readings_that_members_publish_are_stored_once),
        cmocka_unit_test(while_nats_is_away_the_lag_is_unknown),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
