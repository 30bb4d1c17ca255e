/* Samples and readings in PostgreSQL: partitions, and what is stored twice, late or wrong. */
#include "t.h"

#include "io/samples.h"

#include "autoscale_store_stage.h"

#include <libpq-fe.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIN = STAGE_MINUTE_MS, HOUR = STAGE_HOUR_MS };
static const int64_t NOW = STAGE_NOW, DAY = STAGE_DAY_MS;

static struct autoscale_stage stage;

static const char *sql(const char *text)
{
    return autoscale_stage_sql(&stage, text);
}

static const struct autoscale_retention KEEP = { .samples_days = 30, .readings_hours = 3 };

static int keep_partitions(int64_t now_ms)
{
    struct pr_err err = { 0 };
    int dropped = -1;
    assert_ok(autoscale_partitions_keep(stage.db, now_ms, &KEEP, &dropped, &err), &err);
    return dropped;
}

static int setup(void **state)
{
    (void)state;
    autoscale_stage_open(&stage);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    autoscale_stage_close(&stage);
    return 0;
}

/* --- partitions ---------------------------------------------------------- */

#define PARTS(table)                                                                               \
    "SELECT string_agg(substr(c.relname, length('" table "') + 2), ' ' ORDER BY c.relname) FROM "  \
    "pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = '" table              \
    "'::regclass"

static struct autoscale_reading reading(const char *member, int64_t at_ms, double cpu)
{
    struct autoscale_reading r = autoscale_reading_unknown();
    r.member = member;
    r.source = "redis";
    r.at_ms = r.received_ms = at_ms;
    r.value[AUTOSCALE_CPU] = cpu;
    return r;
}

static void partitions_are_made_ahead_and_dropped_when_old(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    struct autoscale_put put;
    const struct autoscale_reading r = reading("n1", NOW, 1);
    assert_int_equal(autoscale_readings_put(stage.db, "hot", NOW, &r, 1, &put, &err), PR_EUNAVAIL);
    assert_non_null(strstr(err.text, "no partition"));
    assert_int_equal(keep_partitions(NOW), 0);
    assert_string_equal(sql(PARTS("autoscale_samples")), "2025060200 2025060900 2025061600");
    assert_string_equal(sql(PARTS("autoscale_readings")),
                        "2025061514 2025061515 2025061516 2025061517 2025061518 2025061519 "
                        "2025061520 2025061521");
    assert_int_equal(keep_partitions(NOW), 0); /* again: nothing */
    assert_int_equal(keep_partitions(NOW - HOUR), 0);
    assert_string_equal(sql("SELECT min(c.relname) FROM pg_class c WHERE relname LIKE "
                            "'autoscale_readings\\_2%'"),
                        "autoscale_readings_2025061513");
    /* 13:00 to 14:00 is dropped three hours after its end, not a millisecond before */
    const int64_t two = NOW - NOW % HOUR - HOUR; /* 14:00 */
    assert_int_equal(keep_partitions(two + 3 * HOUR - 1), 0);
    assert_int_equal(keep_partitions(two + 3 * HOUR), 1);
    assert_non_null(strstr(sql(PARTS("autoscale_readings")), "2025061514"));
    sql("DO $$ DECLARE p text; BEGIN FOR p IN SELECT c.relname FROM pg_inherits i JOIN pg_class c "
        "ON c.oid = i.inhrelid WHERE i.inhparent IN ('autoscale_samples'::regclass, "
        "'autoscale_readings'::regclass) LOOP EXECUTE 'DROP TABLE ' || p; END LOOP; END $$");
    assert_int_equal(keep_partitions(NOW), 0);
}

static void a_clock_far_ahead_drops_nothing_of_today(void **state)
{
    (void)state;
    const char *of_today = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE "
                           "'autoscale_readings\\_%' AND relname >= 'autoscale_readings_' || "
                           "to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDDHH24')";
    char before[4096], now_ms[32];
    it_sql(stage.uri, "SELECT (extract(epoch FROM now()) * 1000)::bigint", now_ms, sizeof now_ms);
    const int64_t now = atoll(now_ms);
    keep_partitions(now);
    snprintf(before, sizeof before, "%s", sql(of_today));
    keep_partitions(now + 1000 * DAY);
    assert_true(atoi(sql(of_today)) == atoi(before) + 8);
    sql("DO $$ DECLARE p text; BEGIN FOR p IN SELECT c.relname FROM pg_inherits i JOIN pg_class c "
        "ON c.oid = i.inhrelid WHERE i.inhparent IN ('autoscale_samples'::regclass, "
        "'autoscale_readings'::regclass) LOOP EXECUTE 'DROP TABLE ' || p; END LOOP; END $$");
    keep_partitions(NOW);
}

static void a_reader_delays_a_drop_but_not_what_is_made(void **state)
{
    (void)state;
    keep_partitions(NOW - 10 * HOUR); /* four hours of them are old at NOW */
    PGconn *reader = PQconnectdb(stage.uri);
    PQclear(PQexec(reader, "BEGIN"));
    PQclear(PQexec(reader, "SELECT * FROM autoscale_readings_2025061505"));
    const int dropped = keep_partitions(NOW);
    assert_non_null(strstr(sql(PARTS("autoscale_readings")), "2025061505"));
    assert_non_null(strstr(sql(PARTS("autoscale_readings")), "2025061521"));
    PQfinish(reader);
    assert_true(keep_partitions(NOW) + dropped > 0);
    assert_null(strstr(sql(PARTS("autoscale_readings")), "2025061505"));
}

static void nobody_keeps_less_than_a_partition(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    int dropped;
    const struct autoscale_retention days = { .samples_days = 6, .readings_hours = 3 };
    assert_int_equal(autoscale_partitions_keep(stage.db, NOW, &days, &dropped, &err), PR_EINVAL);
    const struct autoscale_retention hours = { .samples_days = 7, .readings_hours = 0 };
    assert_int_equal(autoscale_partitions_keep(stage.db, NOW, &hours, &dropped, &err), PR_EINVAL);
    assert_int_equal(pr_db_exec(stage.db,
                                "SELECT autoscale_partitions('plans', now(), 1, interval '1 day')",
                                NULL, 0, NULL, &err),
                     PR_EINVAL);
}

/* --- samples ------------------------------------------------------------- */

static struct autoscale_merged minute(int64_t at_ms, double cpu)
{
    return (struct autoscale_merged){ .measured = true,
                                      .sample = { .at_ms = at_ms,
                                                  .cpu_pct = cpu,
                                                  .memory_pct = NAN,
                                                  .network_bps = NAN,
                                                  .backlog = NAN,
                                                  .load = NAN,
                                                  .serving = 3 } };
}

static size_t load_samples(int64_t from_ms, int64_t to_ms, struct autoscale_sample **s)
{
    struct pr_err err = { 0 };
    size_t n = 0;
    assert_ok(autoscale_samples_load(stage.db, &stage.arena, "hot", from_ms, to_ms, s, &n, &err),
              &err);
    return n;
}

static void put_minute(const struct autoscale_merged *m, size_t n, int64_t merged_ms)
{
    struct pr_err err = { 0 };
    assert_ok(autoscale_samples_put(stage.db, &stage.lease, "hot", merged_ms, m, n, &err), &err);
}

static void samples_come_back_to_the_bit(void **state)
{
    (void)state;
    struct autoscale_merged m[] = { minute(NOW - 2 * MIN, 100.0 / 3), minute(NOW - MIN, NAN),
                                    minute(NOW, 0) };
    struct autoscale_sample *s;
    m[0].sample.load = 123.456789012345678;
    m[0].sample.network_bps = 5e-324;
    m[0].sample.backlog = 1.7976931348623157e308;
    m[0].sample.silent = 7;
    m[0].odd[AUTOSCALE_ODD_LATE] = 4;
    m[1].sample.memory_pct = 0.1;
    put_minute(m, 3, NOW);
    assert_int_equal(load_samples(NOW - 3 * MIN, NOW, &s), 3);
    assert_memory_equal(&s[0], &m[0].sample, sizeof *s);
    assert_memory_equal(&s[2], &m[2].sample, sizeof *s);
    assert_true(isnan(s[1].cpu_pct) && s[1].memory_pct == 0.1);
    assert_string_equal(sql("SELECT odd FROM autoscale_samples ORDER BY at LIMIT 1"),
                        "{\"late\": 4}");
    /* (from, to] */
    assert_int_equal(load_samples(NOW - 2 * MIN, NOW - MIN, &s), 1);
    assert_int_equal(s[0].at_ms, NOW - MIN);
    assert_int_equal(load_samples(NOW, NOW + DAY, &s), 0);
}

static void only_what_was_merged_later_replaces(void **state)
{
    (void)state;
    static const struct {
        int64_t merged_ms;
        double cpu, want;
    } row[] = { { 5000, 20, 20 }, { 4999, 30, 20 }, { 5000, 40, 20 }, { 5001, 50, 50 } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct autoscale_merged m = minute(NOW + MIN, row[i].cpu);
        struct autoscale_sample *s;
        put_minute(&m, 1, NOW + row[i].merged_ms);
        assert_int_equal(load_samples(NOW, NOW + MIN, &s), 1);
        assert_true(s[0].cpu_pct == row[i].want);
    }
}

static void minutes_that_nobody_measured_are_not_stored(void **state)
{
    (void)state;
    struct autoscale_merged m = minute(NOW + 2 * MIN, 5);
    struct autoscale_sample *s;
    struct pr_err err = { 0 };
    int64_t newest = -1;
    m.measured = false;
    put_minute(&m, 1, NOW);
    assert_int_equal(load_samples(NOW + MIN, NOW + 2 * MIN, &s), 0);
    assert_ok(autoscale_samples_newest(stage.db, "hot", &newest, &err), &err);
    assert_int_equal(newest, NOW + MIN);
    assert_ok(autoscale_samples_newest(stage.db, "proxies", &newest, &err), &err);
    assert_int_equal(newest, 0);
}

static void numbers_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const double bad[] = { -1e-9, 100.0001, INFINITY };
    struct pr_err err = { 0 };
    for (size_t i = 0; i < PR_COUNT(bad); i++) {
        const struct autoscale_merged m = minute(NOW + 3 * MIN, bad[i]);
        assert_int_equal(autoscale_samples_put(stage.db, &stage.lease, "hot", NOW, &m, 1, &err),
                         PR_ECONFLICT);
    }
}

static void who_lost_the_lease_stores_no_sample(void **state)
{
    (void)state;
    const struct autoscale_merged m = minute(NOW + 4 * MIN, 5);
    struct autoscale_sample *s;
    struct pr_err err = { 0 };
    sql("UPDATE leases SET epoch = epoch + 1 WHERE name = 'autoscale'");
    assert_int_equal(autoscale_samples_put(stage.db, &stage.lease, "hot", NOW, &m, 1, &err),
                     PR_EFENCED);
    sql("UPDATE leases SET epoch = epoch - 1 WHERE name = 'autoscale'");
    assert_int_equal(load_samples(NOW + 3 * MIN, NOW + 4 * MIN, &s), 0);
}

/* --- readings ------------------------------------------------------------ */

static struct autoscale_put put_readings(const struct autoscale_reading *r, size_t n)
{
    struct pr_err err = { 0 };
    struct autoscale_put put;
    assert_ok(autoscale_readings_put(stage.db, "hot", NOW, r, n, &put, &err), &err);
    return put;
}

static void readings_are_stored_once_and_in_time(void **state)
{
    (void)state;
    static const struct {
        int64_t at_ms;
        size_t stored;
    } row[] = { { -AUTOSCALE_READING_PAST_MS, 0 },
                { -AUTOSCALE_READING_PAST_MS + 1, 1 },
                { AUTOSCALE_READING_AHEAD_MS, 1 },
                { AUTOSCALE_READING_AHEAD_MS + 1, 0 } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct autoscale_reading r = reading("edge", NOW + row[i].at_ms, 1);
        struct autoscale_put put = put_readings(&r, 1);
        assert_int_equal(put.stored, row[i].stored);
        assert_int_equal(put.refused, 1 - row[i].stored);
        put = put_readings(&r, 1);
        assert_int_equal(put.stored, 0);
        assert_int_equal(put.again, row[i].stored);
    }
    struct autoscale_reading twice[] = { reading("twice", NOW - 1, 10),
                                         reading("twice", NOW - 1, 20),
                                         reading("twice", NOW - 1, 30) };
    twice[2].source = "prometheus cpu";
    const struct autoscale_put put = put_readings(twice, 3);
    assert_int_equal(put.stored, 2);
    assert_int_equal(put.again, 1);
    assert_string_equal(sql("SELECT cpu_pct FROM autoscale_readings WHERE member = 'twice' AND "
                            "source = 'redis'"),
                        "10");
    sql("TRUNCATE autoscale_readings");
}

static void readings_of_fleets_that_are_none(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    struct autoscale_put put;
    const struct autoscale_reading r = reading("n1", NOW, 1);
    assert_int_equal(autoscale_readings_put(stage.db, "nosuch", NOW, &r, 1, &put, &err),
                     PR_ENOTFOUND);
    assert_non_null(strstr(err.text, "nosuch"));
    const struct autoscale_reading bad = reading("\xff", NOW, 1);
    assert_int_equal(autoscale_readings_put(stage.db, "hot", NOW, &bad, 1, &put, &err), PR_EDATA);
}

/* Any number that a source may say, so that merging can count it. */
static void what_is_read_back_merges_alike(void **state)
{
    (void)state;
    struct autoscale_reading r[6], *back = NULL;
    size_t n = 0;
    struct pr_err err = { 0 };
    for (size_t i = 0; i < 6; i++)
        r[i] =
            reading(i % 2 == 0 ? "a" : "b", NOW - 50000 + (int64_t)i * 7777, 10.0 / 3 * (double)i);
    r[1].value[AUTOSCALE_CPU] = INFINITY;
    r[2].value[AUTOSCALE_CPU] = -INFINITY;
    r[3].value[AUTOSCALE_CPU] = NAN;
    r[3].why = "restarted; \"quoted\", {braced}";
    r[4].zone = "z";
    r[4].received_ms += 100000;
    r[5].value[AUTOSCALE_LOAD] = 0.7;
    r[5].data_bytes = 1.5e9;
    r[4].data_bytes = INFINITY;
    put_readings(r, 6);
    assert_ok(
        autoscale_readings_load(stage.db, &stage.arena, "hot", NOW - MIN, NOW, &back, &n, &err),
        &err);
    assert_int_equal(n, 6);
    assert_string_equal(back[3].why, r[3].why);
    assert_string_equal(back[4].zone, "z");
    assert_true(back[5].data_bytes == 1.5e9 && isnan(back[3].data_bytes));
    assert_true(isinf(back[4].data_bytes)); /* as it came: who asks decides */
    struct autoscale_merge in = { .end_ms = NOW, .now_ms = NOW, .reading = r, .readings = 6 };
    struct autoscale_merged one, other;
    assert_ok(autoscale_merge(&in, &stage.arena, &one, &err), &err);
    in.reading = back;
    assert_ok(autoscale_merge(&in, &stage.arena, &other, &err), &err);
    assert_true(memcmp(&one.sample.cpu_pct, &other.sample.cpu_pct, sizeof(double)) == 0);
    assert_true(one.sample.load == other.sample.load);
    assert_memory_equal(one.odd, other.odd, sizeof one.odd);
    assert_int_equal(one.odd[AUTOSCALE_ODD_NEGATIVE], 1);
    assert_int_equal(one.odd[AUTOSCALE_ODD_TOO_LARGE], 1);
    /* (from, to] */
    assert_ok(autoscale_readings_load(stage.db, &stage.arena, "hot", r[0].at_ms, r[2].at_ms, &back,
                                      &n, &err),
              &err);
    assert_int_equal(n, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partitions_are_made_ahead_and_dropped_when_old),
        cmocka_unit_test(a_clock_far_ahead_drops_nothing_of_today),
        cmocka_unit_test(a_reader_delays_a_drop_but_not_what_is_made),
        cmocka_unit_test(nobody_keeps_less_than_a_partition),
        cmocka_unit_test(samples_come_back_to_the_bit),
        cmocka_unit_test(only_what_was_merged_later_replaces),
        cmocka_unit_test(minutes_that_nobody_measured_are_not_stored),
        cmocka_unit_test(numbers_that_cannot_be_are_refused),
        cmocka_unit_test(who_lost_the_lease_stores_no_sample),
        cmocka_unit_test(readings_are_stored_once_and_in_time),
        cmocka_unit_test(readings_of_fleets_that_are_none),
        cmocka_unit_test(what_is_read_back_merges_alike),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
