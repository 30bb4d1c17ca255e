/* What is concluded from the state of a PostgreSQL server: settings, lag, alarms. */
#include "t.h"

#include "core/pg.h"

#include <string.h>

enum { MB = 1 << 20, NOW = 100000000, DAY = 86400000 };

static struct dr_pg_server good(void)
{
    return (struct dr_pg_server){ .at_ms = NOW,
                                  .system_id = 1,
                                  .lsn = 1000,
                                  .attached = true,
                                  .synchronous = true,
                                  .flushed_lsn = 1000,
                                  .slot = DR_PG_SLOT_RESERVED,
                                  .slot_active = true,
                                  .slot_safe_bytes = 100 * MB,
                                  .wal_keep_bytes = 64 * MB,
                                  .max_wal_bytes = 64 * MB,
                                  .slot_cap_bytes = 100 * MB,
                                  .archiving = true,
                                  .replica_level = true,
                                  .full_page_writes = true,
                                  .rewindable = true,
                                  .named = true };
}

static void settings_that_would_bite_later_are_named(void **state)
{
    (void)state;
    char why[DR_PG_WORDS];
    struct dr_pg_server s = good();
    assert_true(dr_pg_settings_ok(&s, why));
    assert_string_equal(why, "");
#define BAD(field, value, name)                                                                    \
    do {                                                                                           \
        s = good();                                                                                \
        s.field = (value);                                                                         \
        assert_false(dr_pg_settings_ok(&s, why));                                                  \
        assert_non_null(strstr(why, name));                                                        \
    } while (0)
    BAD(wal_keep_bytes, 64 * MB - 1, "wal_keep_size is 63 MiB, less than max_wal_size 64 MiB");
    BAD(wal_keep_bytes, 0, "wal_keep_size");
    BAD(slot_cap_bytes, -1, "max_slot_wal_keep_size");
    BAD(replica_level, false, "wal_level");
    BAD(rewindable, false, "wal_log_hints");
    BAD(full_page_writes, false, "full_page_writes");
    BAD(archiving, false, "archive_mode");
}

static void lag_is_the_age_of_what_is_not_there_yet(void **state)
{
    (void)state;
    struct dr_pg_lag l = { 0 };
    struct dr_pg_server s = good();
    static const struct {
        int64_t now, seen; /* seen: when the primary last answered */
        uint64_t lsn, flushed;
        int64_t want;
    } row[] = {
        { 1000, 1000, 100, 100, 0 },     { 2000, 2000, 200, 150, 0 }, /* just seen */
        { 3000, 3000, 300, 199, 1000 },                               /* 200 is a second old */
        { 4000, 4000, 400, 200, 0 },                                  /* it came: 400 is to come */
        { 9000, 4000, 400, 200, 5000 },                               /* nobody answers */
        { 9500, 9500, 400, 400, 0 },     { 14500, 9500, 400, 400, 0 },
        { 14501, 9500, 400, 400, 5001 }, /* silent: who knows what was written */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        s.at_ms = row[i].seen;
        s.lsn = row[i].lsn;
        s.flushed_lsn = row[i].flushed;
        assert_int_equal(dr_pg_lag_step(&l, &s, row[i].now), row[i].want);
    }
}

static uint32_t alarms(const struct dr_pg_server *s, const struct dr_pg_repo *r, int64_t lag_ms,
                       int64_t due_ms)
{
    const struct dr_pg_facts f = { .now_ms = NOW,
                                   .lag_ms = lag_ms,
                                   .server = s,
                                   .repo = r,
                                   .due_ms = due_ms,
                                   .supervised = true };
    return dr_pg_alarms(&f);
}

static void alarms_of_the_server(void **state)
{
    (void)state;
    const struct dr_pg_repo r = { .state = DR_PG_REPO_OK, .any_ms = NOW };
    struct dr_pg_server s = good();
    assert_int_equal(alarms(&s, &r, 4000, NOW - DAY), 0);
    assert_int_equal(alarms(&s, &r, 4001, 0), 1u << DR_PG_ALARM_LAG);
#define ALARM(field, value, which)                                                                 \
    do {                                                                                           \
        s = good();                                                                                \
        s.field = (value);                                                                         \
        assert_int_equal(alarms(&s, &r, 0, 0), 1u << (which));                                     \
    } while (0)
    ALARM(at_ms, NOW - 5001, DR_PG_ALARM_PRIMARY);
    ALARM(at_ms, 0, DR_PG_ALARM_PRIMARY);
    ALARM(wal_keep_bytes, 0, DR_PG_ALARM_SETTINGS);
    ALARM(attached, false, DR_PG_ALARM_RECEIVER);
    ALARM(synchronous, false, DR_PG_ALARM_ASYNC);
    ALARM(slot, DR_PG_SLOT_LOST, DR_PG_ALARM_SLOT);
    ALARM(slot, DR_PG_SLOT_UNRESERVED, DR_PG_ALARM_SLOT);
    ALARM(slot_kept_bytes, 75 * MB + 1, DR_PG_ALARM_SLOT);
    ALARM(archive_waiting, 17, DR_PG_ALARM_ARCHIVE);
    ALARM(archive_failing, true, DR_PG_ALARM_ARCHIVE);
    s = good();
    s.slot_kept_bytes = 75 * MB;
    s.archive_waiting = 16;
    s.at_ms = NOW - 5000;
    assert_int_equal(alarms(&s, &r, 0, 0), 0);
}

static void alarms_of_the_repository(void **state)
{
    (void)state;
    const struct dr_pg_server s = good();
    static const struct {
        struct dr_pg_repo r;
        int64_t due;
        uint32_t want;
    } row[] = {
        { { .state = DR_PG_REPO_UNKNOWN }, NOW - 2 * DAY, 0 }, /* not looked yet */
        { { .state = DR_PG_REPO_ERROR }, NOW, 1u << DR_PG_ALARM_REPOSITORY },
        { { .state = DR_PG_REPO_OK, .any_ms = NOW, .damaged = 1 },
          NOW,
          1u << DR_PG_ALARM_REPOSITORY },
        { { .state = DR_PG_REPO_EMPTY }, NOW, 1u << DR_PG_ALARM_BACKUP },
        { { .state = DR_PG_REPO_EMPTY }, 0, 0 }, /* others make them */
        { { .state = DR_PG_REPO_OK, .any_ms = 1 }, NOW - DAY, 0 },
        { { .state = DR_PG_REPO_OK, .any_ms = 1 }, NOW - DAY - 1, 1u << DR_PG_ALARM_BACKUP },
        { { .state = DR_PG_REPO_OK, .any_ms = NOW - DAY }, NOW - DAY - 1, 0 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(alarms(&s, &row[i].r, 0, row[i].due), row[i].want);
    for (int i = 0; i < DR_PG_ALARMS; i++)
        assert_non_null(dr_pg_alarm_name((enum dr_pg_alarm)i));
}

static void positions_are_read_and_printed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t lsn;
    } row[] = { { "0/0", 0 },
                { "0/16B3740", 0x16B3740 },
                { "1/0", 1ull << 32 },
                { "FFFFFFFF/FFFFFFFF", UINT64_MAX } };
    static const char *const bad[] = { "", "0", "0/", "/1", "0/1x", "0/1 ", "x/1" };
    uint64_t lsn;
    char text[24];
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        assert_true(dr_pg_lsn_parse(row[i].text, &lsn));
        assert_true(lsn == row[i].lsn);
        dr_pg_lsn_print(lsn, text);
        assert_string_equal(text, row[i].text);
    }
    for (size_t i = 0; i < PR_COUNT(bad); i++)
        assert_false(dr_pg_lsn_parse(bad[i], &lsn));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_that_would_bite_later_are_named),
        cmocka_unit_test(lag_is_the_age_of_what_is_not_there_yet),
        cmocka_unit_test(alarms_of_the_server),
        cmocka_unit_test(alarms_of_the_repository),
        cmocka_unit_test(positions_are_read_and_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
