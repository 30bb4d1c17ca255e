/* What a clock that was ahead has stored: nothing is decided, then it is set aside and deciding
 * goes on. On real PostgreSQL, with the rights of the service's role. */
#include "t.h"

#include "autoscale_store_stage.h"

#include "io/clock.h"
#include "io/decisions.h"
#include "io/samples.h"

#include <math.h>
#include <string.h>

#define NOW    STAGE_NOW
#define MINUTE STAGE_MINUTE_MS
#define HOUR   STAGE_HOUR_MS

static struct autoscale_stage stage;
static struct autoscale_clock_watch watch;

static int64_t database_ms(void)
{
    return strtoll(autoscale_stage_sql(
                       &stage, "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"),
                   NULL, 10);
}

static enum autoscale_clock look(int64_t now_ms, int64_t ahead_ms)
{
    struct pr_err err = { 0 };
    enum autoscale_clock is = AUTOSCALE_CLOCK_WAIT;
    assert_ok(autoscale_clock_look(&watch, stage.db, &stage.lease, "hot", now_ms,
                                   database_ms() + ahead_ms, &is, &err),
              &err);
    return is;
}

static void decide(int64_t at_ms, int to)
{
    struct pr_err err = { 0 };
    const struct autoscale_state after = { .desired = to,
                                           .memory = "[{\"policy\": \"rules\", \"version\": 1}]",
                                           .evaluated_ms = at_ms };
    struct autoscale_decision_row row = { .fleet = "hot",
                                          .at_ms = at_ms,
                                          .settings_version = 1,
                                          .from = to - 1,
                                          .to = to,
                                          .move = "out",
                                          .why = "",
                                          .alarm_why = "",
                                          .input = "{}",
                                          .decision = "{}",
                                          .after = &after };
    assert_ok(autoscale_decision_put(stage.db, &stage.lease, &row, &err), &err);
}

/* A minute as it is stored by a clock that shows at_ms + 10 s. */
static void minute(int64_t at_ms, double cpu_pct)
{
    struct pr_err err = { 0 };
    struct autoscale_put put;
    struct autoscale_reading r = autoscale_reading_unknown();
    struct autoscale_merged m = { .measured = true,
                                  .sample = { .at_ms = at_ms,
                                              .cpu_pct = cpu_pct,
                                              .memory_pct = NAN,
                                              .network_bps = NAN,
                                              .backlog = NAN,
                                              .load = NAN,
                                              .serving = 5 } };
    assert_ok(autoscale_samples_put(stage.db, &stage.lease, "hot", at_ms + 10000, &m, 1, &err),
              &err);
    r.member = "m";
    r.source = "redis";
    r.at_ms = r.received_ms = at_ms - 1000;
    r.value[AUTOSCALE_CPU] = cpu_pct;
    assert_ok(autoscale_readings_put(stage.db, "hot", at_ms, &r, 1, &put, &err), &err);
}

static const char *sql(const char *text)
{
    return autoscale_stage_sql(&stage, text);
}

#define ROWS                                                                                       \
    "SELECT (SELECT count(*) FROM autoscale_samples) || ' ' || (SELECT count(*) FROM "             \
    "autoscale_readings) || ' ' || (SELECT count(*) FROM autoscale_decisions) || ' ' || (SELECT "  \
    "count(*) FROM autoscale_actions)"

static int setup(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    int dropped;
    const struct autoscale_retention keep = { .samples_days = 3650, .readings_hours = 8760 };
    (void)sql("TRUNCATE autoscale_samples, autoscale_readings, autoscale_decisions, "
              "autoscale_actions, autoscale_state, outbox");
    assert_ok(autoscale_partitions_keep(stage.db, NOW, &keep, &dropped, &err), &err);
    watch = (struct autoscale_clock_watch){ 0 };
    minute(NOW - 2 * MINUTE, 50);
    minute(NOW - MINUTE, 51);
    decide(NOW - MINUTE, 6);
    return 0;
}

static void a_clock_that_is_right_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(look(NOW, 0), AUTOSCALE_CLOCK_RIGHT);
    assert_int_equal(look(NOW - MINUTE, 0), AUTOSCALE_CLOCK_RIGHT);
    assert_string_equal(watch.why, "");
    assert_string_equal(sql(ROWS), "2 2 1 1");
}

static void a_clock_apart_from_the_database_s_waits(void **state)
{
    (void)state;
    assert_int_equal(look(NOW, 2 * MINUTE), AUTOSCALE_CLOCK_WAIT);
    assert_non_null(strstr(watch.why, "ahead of the database's"));
    assert_int_equal(look(NOW + 10 * MINUTE, 2 * MINUTE), AUTOSCALE_CLOCK_WAIT);
    assert_int_equal(look(NOW + 10 * MINUTE, 0), AUTOSCALE_CLOCK_RIGHT);
    assert_string_equal(watch.why, "");
    assert_string_equal(sql(ROWS), "2 2 1 1");
}

static void a_little_ahead_is_waited_for(void **state)
{
    (void)state;
    assert_int_equal(look(NOW - 2 * MINUTE, 0), AUTOSCALE_CLOCK_WAIT);
    assert_non_null(strstr(watch.why, "60 s behind what is stored"));
    assert_int_equal(look(NOW - MINUTE - 1, 0), AUTOSCALE_CLOCK_WAIT);
    assert_int_equal(look(NOW - MINUTE, 0), AUTOSCALE_CLOCK_RIGHT); /* past it by itself */
    assert_string_equal(sql(ROWS), "2 2 1 1");
}

/* An hour ahead for two minutes. */
static void what_is_of_the_future_is_set_aside(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    struct autoscale_state s;
    minute(NOW + HOUR, 99);
    minute(NOW + HOUR + MINUTE, 98);
    decide(NOW + HOUR, 7);
    decide(NOW + HOUR + MINUTE, 8);
    (void)sql("INSERT INTO autoscale_samples (fleet, at, serving, silent, merged_at) SELECT "
              "'proxies', max(at), 1, 0, max(merged_at) FROM autoscale_samples");

    assert_int_equal(look(NOW, 0), AUTOSCALE_CLOCK_WAIT);
    assert_non_null(strstr(watch.why, "3660 s behind what is stored"));
    assert_int_equal(look(NOW + 5 * MINUTE - 1, 0), AUTOSCALE_CLOCK_WAIT);
    assert_string_equal(sql(ROWS), "5 4 3 3");
    assert_int_equal(look(NOW + 5 * MINUTE, 0), AUTOSCALE_CLOCK_ASIDE);
    assert_string_equal(watch.why, "");
    assert_string_equal(sql(ROWS), "3 2 3 3"); /* that of another fleet is its own affair */

    /* Decisions and actions are kept, in their order, before now and at nobody's minute. */
    assert_string_equal(sql("SELECT string_agg(to_instances::text, ' ' ORDER BY at) FROM "
                            "autoscale_decisions"),
                        "6 7 8");
    assert_string_equal(sql("SELECT string_agg(to_instances::text, ' ' ORDER BY at) FROM "
                            "autoscale_actions"),
                        "6 7 8");
    assert_string_equal(sql("SELECT count(*) FROM autoscale_decisions WHERE at > timestamptz "
                            "'epoch' + 1750000320000 * interval '1 millisecond'"),
                        "0");
    assert_string_equal(sql("SELECT string_agg(state, ' ' ORDER BY id) FROM autoscale_decisions"),
                        "superseded superseded decided");
    /* Policies begin anew; what is wanted stays. */
    assert_ok(autoscale_state_load(stage.db, &stage.arena, "hot", &s, &err), &err);
    assert_int_equal(s.desired, 8);
    assert_int_equal(s.evaluated_ms, 0);
    assert_string_equal(s.memory, "[]");

    /* And on it goes, through the very minutes that were decided for already. */
    assert_int_equal(look(NOW + 5 * MINUTE, 0), AUTOSCALE_CLOCK_RIGHT);
    minute(NOW + 5 * MINUTE, 40);
    decide(NOW + 5 * MINUTE, 9);
    assert_int_equal(look(NOW + HOUR, 0), AUTOSCALE_CLOCK_RIGHT);
    minute(NOW + HOUR, 41);
    decide(NOW + HOUR, 10);
    assert_string_equal(sql("SELECT round(cpu_pct) FROM autoscale_samples WHERE fleet = 'hot' "
                            "ORDER BY at DESC LIMIT 1"),
                        "41");
    assert_ok(autoscale_state_load(stage.db, &stage.arena, "hot", &s, &err), &err);
    assert_int_equal(s.desired, 10);
    assert_string_equal(sql("SELECT string_agg(state, ' ' ORDER BY id) FROM autoscale_decisions"),
                        "superseded superseded superseded superseded decided");
}

/* How long something took by a clock that was ahead is not what a member takes to be useful. */
static void what_ended_in_the_future_teaches_nothing(void **state)
{
    (void)state;
    decide(NOW - 3 * MINUTE, 5); /* begun by a clock that was right */
    decide(NOW + HOUR, 7);
    (void)sql("UPDATE autoscale_decisions SET state = 'done', report = jsonb_build_object('carry', "
              "jsonb_build_object('ended_ms', (extract(epoch FROM at) * 1000)::bigint + 120000 + "
              "CASE to_instances WHEN 5 THEN 7200000 ELSE 0 END))");
    assert_int_equal(look(NOW, 0), AUTOSCALE_CLOCK_WAIT);
    assert_int_equal(look(NOW + 5 * MINUTE, 0), AUTOSCALE_CLOCK_ASIDE);
    assert_string_equal(sql("SELECT string_agg(to_instances || ' ' || (report #>> "
                            "'{carry,ended_ms}'), ', ' ORDER BY at) FROM autoscale_decisions"),
                        "5 0, 6 1750000080000, 7 0");
}

static void without_the_lease_nothing_is_touched(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    enum autoscale_clock is;
    struct pr_lease other = stage.lease;
    other.epoch--;
    minute(NOW + HOUR, 99);
    assert_int_equal(look(NOW, 0), AUTOSCALE_CLOCK_WAIT);
    assert_int_equal(autoscale_clock_look(&watch, stage.db, &other, "hot", NOW + 5 * MINUTE,
                                          database_ms(), &is, &err),
                     PR_EFENCED);
    assert_string_equal(sql(ROWS), "3 3 1 1");
}

static int open_stage(void **state)
{
    (void)state;
    autoscale_stage_open(&stage);
    return 0;
}

static int close_stage(void **state)
{
    (void)state;
    autoscale_stage_close(&stage);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_clock_that_is_right_changes_nothing, setup),
        cmocka_unit_test_setup(a_clock_apart_from_the_database_s_waits, setup),
        cmocka_unit_test_setup(a_little_ahead_is_waited_for, setup),
        cmocka_unit_test_setup(what_is_of_the_future_is_set_aside, setup),
        cmocka_unit_test_setup(what_ended_in_the_future_teaches_nothing, setup),
        cmocka_unit_test_setup(without_the_lease_nothing_is_touched, setup),
    };
    return cmocka_run_group_tests(tests, open_stage, close_stage);
}
