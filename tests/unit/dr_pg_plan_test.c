/* What is done next for PostgreSQL. */
#include "t.h"

#include "core/pg_plan.h"

#include <string.h>

enum { MIN = 60000, HOUR = 60 * MIN };
/* 2026-11-22, a Sunday, 00:00 UTC. */
static const int64_t SUNDAY = 1795305600000;

static struct dr_pg_schedule schedule(void)
{
    struct dr_pg_schedule s = { .look_ms = MIN, .backups = true };
    struct pr_err err;
    assert_ok(pr_cron_parse("0 2 * * 0", &s.full, &err), &err);
    assert_ok(pr_cron_parse("0 2 * * *", &s.incr, &err), &err);
    return s;
}

static void the_receiver_is_started_paused_and_begun_afresh(void **state)
{
    (void)state;
    const struct dr_pg_server fine = { .at_ms = 1,
                                       .slot = DR_PG_SLOT_RESERVED,
                                       .wal_keep_bytes = 1,
                                       .max_wal_bytes = 1,
                                       .archiving = true,
                                       .replica_level = true,
                                       .full_page_writes = true,
                                       .rewindable = true };
    struct dr_pg_server none = fine, lost = fine, unseen = fine, bad = fine;
    none.slot = DR_PG_SLOT_NONE;
    lost.slot = DR_PG_SLOT_LOST;
    unseen.at_ms = 0;
    bad.wal_keep_bytes = 0;
    const struct {
        struct dr_pg_receiver r;
        const struct dr_pg_server *s;
        int64_t now;
        enum dr_pg_receiver_do want;
    } row[] = {
        { { .running = true }, &fine, 10, DR_PG_RECEIVER_WAIT },
        { { .running = true }, &lost, 10, DR_PG_RECEIVER_WAIT }, /* it ends by itself */
        { { .running = true }, &bad, 10, DR_PG_RECEIVER_WAIT },
        { { .running = false }, &unseen, 10, DR_PG_RECEIVER_WAIT },
        { { .running = false }, &bad, 10, DR_PG_RECEIVER_WAIT },
        { { .running = false }, &none, 10, DR_PG_RECEIVER_START },
        { { .running = false }, &fine, 10, DR_PG_RECEIVER_START },
        { { .running = false }, &lost, 10, DR_PG_RECEIVER_AFRESH },
        { { .gone = true }, &fine, 10, DR_PG_RECEIVER_AFRESH },
        { { .failures = 1, .ended_ms = 1000 }, &fine, 1200, DR_PG_RECEIVER_START },
        { { .failures = 99, .ended_ms = 1000 }, &fine, 3000, DR_PG_RECEIVER_START },
        { { .failures = 99, .ended_ms = 1000 }, &fine, 999, DR_PG_RECEIVER_WAIT },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const char *why = NULL;
        assert_int_equal(dr_pg_receiver_next(&row[i].r, row[i].s, row[i].now, &why), row[i].want);
        assert_non_null(why);
    }
}

static void what_cannot_be_gone_on_with_is_known_by_its_words(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        bool gone;
    } row[] = {
        { "pg_receivewal: error: could not send replication command \"START_REPLICATION\": ERROR:  "
          "requested WAL segment 000000010000000000000003 has already been removed",
          true },
        { "ERROR:  requested starting point 0/5000000 is ahead of the WAL flush position of this "
          "server 0/3000060",
          true },
        { "requested starting point 0/4000000 on timeline 1 is not in this server's history",
          true },
        { "pg_receivewal: error: connection to server at \"127.0.0.1\" failed: Connection refused",
          false },
        { "ERROR:  replication slot \"prism_dr\" is active for PID 7", false },
        { "", false },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(dr_pg_receiver_gone(row[i].words, strlen(row[i].words)), row[i].gone);
}

static void jobs_come_in_their_order(void **state)
{
    (void)state;
    struct dr_pg_schedule s = schedule();
    const int64_t now = SUNDAY + 12 * HOUR, two = SUNDAY + 2 * HOUR;
    struct dr_pg_repo r = { .state = DR_PG_REPO_EMPTY };
    struct dr_pg_work w = { .repo = &r, .primary = true };
    const struct {
        enum dr_pg_repo_state state;
        int64_t info, list, checked, full, any;
        bool missed, busy, primary, backups;
        enum dr_pg_job want;
    } row[] = {
        { DR_PG_REPO_UNKNOWN, 0, 0, 0, 0, 0, false, false, true, true, DR_PG_JOB_INFO },
        { DR_PG_REPO_EMPTY, now, 0, 0, 0, 0, false, false, true, true, DR_PG_JOB_STANZA },
        { DR_PG_REPO_EMPTY, now, 0, 0, 0, 0, false, false, false, true, DR_PG_JOB_NONE },
        { DR_PG_REPO_EMPTY, now, 0, 0, 0, 0, false, false, true, false, DR_PG_JOB_NONE },
        { DR_PG_REPO_NO_BACKUP, now, 0, 0, 0, 0, false, false, true, true, DR_PG_JOB_CHECK },
        { DR_PG_REPO_NO_BACKUP, now, 0, now, 0, 0, false, false, true, true, DR_PG_JOB_FULL },
        { DR_PG_REPO_OK, now, 0, now, two - 1, now, false, false, true, true, DR_PG_JOB_FULL },
        { DR_PG_REPO_OK, now, 0, now, two, two - 1, false, false, true, true, DR_PG_JOB_INCR },
        { DR_PG_REPO_OK, now, 0, now, two, two, false, true, true, true, DR_PG_JOB_NONE },
        { DR_PG_REPO_OK, now, 0, now, two, two, false, false, true, true, DR_PG_JOB_LIST },
        { DR_PG_REPO_OK, now, now, now, two, two, false, false, true, true, DR_PG_JOB_NONE },
        { DR_PG_REPO_OK, now, now, now, two, two, true, false, true, true, DR_PG_JOB_PUSH },
        { DR_PG_REPO_OK, now, 0, 0, 0, 0, false, false, true, false, DR_PG_JOB_LIST },
        { DR_PG_REPO_OK, now - MIN + 1, now, now, two, two, false, false, true, true,
          DR_PG_JOB_NONE },
        { DR_PG_REPO_OK, now - MIN, now, now, two, two, false, false, true, true, DR_PG_JOB_INFO },
        { DR_PG_REPO_ERROR, now, now, now, two, two, false, false, true, true, DR_PG_JOB_INFO },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        r = (struct dr_pg_repo){
            .state = row[i].state, .full_ms = row[i].full, .any_ms = row[i].any, .busy = row[i].busy
        };
        w.info_ms = row[i].info;
        w.list_ms = row[i].list;
        w.checked_ms = row[i].checked;
        w.missed = row[i].missed;
        w.primary = row[i].primary;
        s.backups = row[i].backups;
        if (dr_pg_job_next(&s, &w, now) != row[i].want)
            fail_msg("row %zu: %s", i, dr_pg_job_name(dr_pg_job_next(&s, &w, now)));
    }
}

static void a_failed_job_is_paused_after(void **state)
{
    (void)state;
    const struct dr_pg_schedule s = schedule();
    const struct dr_pg_repo r = { .state = DR_PG_REPO_UNKNOWN };
    struct dr_pg_work w = { .repo = &r, .failures = 3, .failed_ms = SUNDAY };
    assert_int_equal(dr_pg_job_next(&s, &w, SUNDAY - 1), DR_PG_JOB_NONE);
    assert_int_equal(dr_pg_job_next(&s, &w, SUNDAY + 8000), DR_PG_JOB_INFO); /* 2 s, 4 s, 8 s */
    w.failures = 1000;
    assert_int_equal(dr_pg_job_next(&s, &w, SUNDAY + 300000), DR_PG_JOB_INFO);
}

static void a_backup_is_due_from_its_minute_on(void **state)
{
    (void)state;
    struct dr_pg_schedule s = schedule();
    assert_int_equal(dr_pg_due_ms(&s, SUNDAY + 2 * HOUR), SUNDAY + 2 * HOUR);
    assert_int_equal(dr_pg_due_ms(&s, SUNDAY + 2 * HOUR - 1), SUNDAY - 22 * HOUR);
    s.backups = false;
    assert_int_equal(dr_pg_due_ms(&s, SUNDAY + 2 * HOUR), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_receiver_is_started_paused_and_begun_afresh),
        cmocka_unit_test(what_cannot_be_gone_on_with_is_known_by_its_words),
        cmocka_unit_test(jobs_come_in_their_order),
        cmocka_unit_test(a_failed_job_is_paused_after),
        cmocka_unit_test(a_backup_is_due_from_its_minute_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
