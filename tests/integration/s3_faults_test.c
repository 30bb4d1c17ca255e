/* The S3 client through a proxy that does wrong: each fault alone. And the proxy itself. */
#include "t.h"

#include "s3_stage.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STALL_MS = 400 };

static struct it_proxy proxy;
static struct stage st;
static uint8_t *data; /* BIG bytes */

enum { BIG = 8 << 20, SMALL = 100000 };

static int setup(void **state)
{
    (void)state;
    if (data == NULL)
        data = stage_data(5, BIG);
    stage_open_behind(&st, &proxy, STALL_MS);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stage_close(&st);
    return 0;
}

static uint64_t retries(void)
{
    struct pr_s3_counts c;

    pr_s3_counts(st.s3, &c);
    return c.retries;
}

/* --- each fault alone --------------------------------------------------------------------- */

static enum pr_code put(void)
{
    return pr_s3_put(st.s3, "key", data, SMALL, NULL, NULL, &st.err);
}
static enum pr_code put_big(void)
{
    return pr_s3_put(st.s3, "key", data, BIG, NULL, NULL, &st.err);
}
static enum pr_code put_once(void)
{
    const struct pr_s3_put how = { .if_none_match = true };

    assert_ok(pr_s3_delete(st.s3, "key", &st.err), &st.err);
    return pr_s3_put(st.s3, "key", data, SMALL, &how, NULL, &st.err);
}
static enum pr_code put_taken(void) /* by other bytes of the same length */
{
    const struct pr_s3_put how = { .if_none_match = true };

    assert_ok(pr_s3_put(st.s3, "taken", data + 1, SMALL, NULL, NULL, &st.err), &st.err);
    return pr_s3_put(st.s3, "taken", data, SMALL, &how, NULL, &st.err);
}
static enum pr_code get(void)
{
    static uint8_t buf[BIG];
    struct pr_s3_info info;

    memset(buf, 0, SMALL);
    const enum pr_code rc = pr_s3_get(st.s3, "there", 1000, buf, SMALL - 2000, &info, &st.err);
    if (rc == PR_OK) {
        assert_memory_equal(buf, data + 1000, SMALL - 2000);
        assert_int_equal(info.size_bytes, SMALL);
    }
    return rc;
}
static enum pr_code get_first(void) /* what a range that is not there would be, too */
{
    char first;

    return pr_s3_get(st.s3, "there", 0, &first, 1, NULL, &st.err);
}
static enum pr_code read_it(void)
{
    struct pr_buf out;

    pr_buf_init(&out, BIG);
    const enum pr_code rc = pr_s3_read(st.s3, "there", &out, NULL, &st.err);
    if (rc == PR_OK) {
        assert_int_equal(out.len, SMALL);
        assert_memory_equal(out.data, data, SMALL);
    }
    pr_buf_done(&out);
    return rc;
}
static enum pr_code head(void)
{
    struct pr_s3_info info;
    const enum pr_code rc = pr_s3_head(st.s3, "there", &info, &st.err);

    if (rc == PR_OK)
        assert_int_equal(info.size_bytes, SMALL);
    return rc;
}
static bool count(void *arg, const struct pr_s3_entry *e)
{
    *(int *)arg += strcmp(e->key, "there") == 0;
    return true;
}
static enum pr_code list(void)
{
    const struct pr_s3_list what = { .prefix = "the" };
    int n = 0;
    const enum pr_code rc = pr_s3_list(st.s3, &what, count, &n, &st.err);

    if (rc == PR_OK)
        assert_int_equal(n, 1);
    return rc;
}
static enum pr_code erase(void)
{
    return pr_s3_delete(st.s3, "key", &st.err);
}
static enum pr_code erase_all(void)
{
    static const char *const KEY[] = { "key", "other" };

    return pr_s3_delete_all(st.s3, KEY, PR_COUNT(KEY), &st.err);
}
static enum pr_code upload(void)
{
    struct pr_s3_upload u;
    struct pr_s3_part part[2];
    struct pr_s3_info info;
    enum pr_code rc;

    assert_ok(pr_s3_delete(st.s3, "big", &st.err), &st.err);
    if ((rc = pr_s3_upload_begin(st.s3, "big", &u, &st.err)) != PR_OK ||
        (rc = pr_s3_upload_part(st.s3, &u, 1, data, PR_S3_PART_MIN_BYTES, &part[0], &st.err)) !=
            PR_OK ||
        (rc = pr_s3_upload_part(st.s3, &u, 2, data + PR_S3_PART_MIN_BYTES, SMALL, &part[1],
                                &st.err)) != PR_OK ||
        (rc = pr_s3_upload_finish(st.s3, &u, part, 2, true, &info, &st.err)) != PR_OK)
        return rc;
    assert_int_equal(info.size_bytes, PR_S3_PART_MIN_BYTES + SMALL);
    return PR_OK;
}

struct one {
    const char *rules;
    enum pr_code (*op)(void);
    enum pr_code want;
    int retries;     /* as many, or, when it ends well, more: a slow machine may stall, too */
    const char *say; /* what the words hold, if it failed; NULL: nothing in particular */
};

static const struct one ONE[] = {
    { "slowdown method=PUT times=3", put, PR_OK, 3, NULL },
    { "error method=PUT times=2", put, PR_OK, 2, NULL },
    { "error200 method=PUT times=2", put, PR_OK, 2, NULL },
    { "reset method=PUT times=2", put, PR_OK, 2, NULL },
    { "stall method=PUT times=1", put, PR_OK, 1, NULL },
    { "deaf method=PUT times=1", put_big, PR_OK, 1, NULL },
    { "lost method=PUT times=2", put, PR_OK, 2, NULL },
    { "done503 method=PUT times=2", put, PR_OK, 2, NULL },
    { "silence method=PUT times=1", put, PR_OK, 1, NULL },
    /* The server, or the client, sees that other bytes arrived. */
    { "garble method=PUT times=1", put, PR_OK, 1, NULL },
    { "garble method=PUT", put, PR_EDATA, 2, "400" },
    { "garble query=partNumber times=1", upload, PR_OK, 1, NULL },
    { "garble query=delete times=1", erase_all, PR_OK, 1, NULL },
    { "etag method=PUT", put, PR_EDATA, 0, "not what was sent" },
    { "etag query=partNumber", upload, PR_EDATA, 0, "not what was sent" },
    /* Its own object, behind answers that were lost; and not another's. */
    { "lost method=PUT times=1", put_once, PR_OK, 1, NULL },
    { "done503 method=PUT times=1", put_once, PR_OK, 1, NULL },
    { "silence method=PUT times=1", put_once, PR_OK, 1, NULL },
    { "reset method=PUT times=1", put_once, PR_OK, 1, NULL },
    { "lost method=PUT times=1\nerror method=HEAD times=2", put_once, PR_OK, 3, NULL },
    { "lost method=PUT first=2 times=1", put_taken, PR_EEXISTS, 1, "other content" },
    { "slowdown method=GET times=2", get, PR_OK, 2, NULL },
    { "reset method=GET times=2", get, PR_OK, 2, NULL },
    { "truncate method=GET times=3", get, PR_OK, 3, NULL },
    { "truncate method=GET at=0 times=1", get, PR_OK, 1, NULL },
    { "truncate method=GET at=97999 times=1", get, PR_OK, 1, NULL },
    { "hang method=GET times=1", get, PR_OK, 1, NULL },
    { "slow method=GET bps=600 times=1", get, PR_OK, 1, NULL },
    { "lost method=GET times=1", get, PR_OK, 1, NULL },
    /* Never taken for what was asked. */
    { "range method=GET", get, PR_EDATA, 0, "got bytes 1001-99000" },
    { "range at=0 method=GET", get, PR_EDATA, 0, "got bytes 1001-98999" },
    { "whole method=GET", get_first, PR_EDATA, 0, "ignores it" },
    { "whole method=GET", get, PR_EDATA, 0, "ignores it" },
    { "error200 method=GET", get, PR_EDATA, 0, "ignores it" },
    { "corrupt method=GET times=2", read_it, PR_OK, 2, NULL },
    { "corrupt method=GET", read_it, PR_EDATA, 2, "SHA-256" },
    { "truncate method=GET times=2", read_it, PR_OK, 2, NULL },
    { "error200 method=GET times=2", read_it, PR_OK, 2, NULL },
    { "error200 method=HEAD times=2", head, PR_OK, 2, NULL },
    { "reset method=HEAD times=1", head, PR_OK, 1, NULL },
    { "silence method=HEAD times=1", head, PR_OK, 1, NULL },
    { "error200 method=GET times=2", list, PR_OK, 2, NULL },
    { "truncate method=GET times=2", list, PR_OK, 2, NULL },
    { "hang method=GET times=1", list, PR_OK, 1, NULL },
    { "error200 method=DELETE times=2", erase, PR_OK, 2, NULL },
    { "lost method=DELETE times=2", erase, PR_OK, 2, NULL },
    { "error200 query=delete times=2", erase_all, PR_OK, 2, NULL },
    { "lost query=delete times=1", erase_all, PR_OK, 1, NULL },
    { "truncate query=delete times=1", erase_all, PR_OK, 1, NULL },
    { "error200 method=POST query=uploads times=1", upload, PR_OK, 1, NULL },
    { "lost method=POST query=uploads times=1", upload, PR_OK, 1, NULL },
    { "error200 query=partNumber times=2", upload, PR_OK, 2, NULL },
    { "lost query=partNumber times=2", upload, PR_OK, 2, NULL },
    { "error200 method=POST query=uploadId times=2", upload, PR_OK, 2, NULL },
    { "lost method=POST query=uploadId times=1", upload, PR_OK, 1, NULL },
    { "done503 method=POST query=uploadId times=2", upload, PR_OK, 2, NULL },
    { "truncate method=POST query=uploadId times=1", upload, PR_OK, 1, NULL },
    { "silence method=POST query=uploadId times=1", upload, PR_OK, 1, NULL },
};

static void every_fault_is_overcome_or_told(void **state)
{
    (void)state;
    assert_ok(pr_s3_put(st.s3, "there", data, SMALL, NULL, NULL, &st.err), &st.err);
    for (size_t i = 0; i < PR_COUNT(ONE); i++) {
        const struct one *o = &ONE[i];
        char log[65536];

        it_proxy_rules(&proxy, o->rules);
        st.err.text[0] = '\0';
        const uint64_t before = retries();
        const enum pr_code rc = o->op();
        const int again = (int)(retries() - before);
        it_proxy_log(&proxy, log, sizeof log);
        if (rc != o->want || again < o->retries || (rc != PR_OK && again > o->retries) ||
            (o->say != NULL && strstr(st.err.text, o->say) == NULL))
            fail_msg("%zu \"%s\": %s after %d retries, wanted %s after %d: %s\n%s", i, o->rules,
                     pr_code_name(rc), again, pr_code_name(o->want), o->retries, st.err.text, log);
    }
}

/* A clock that, when it is read for the second try, has another object put there. */
static struct pr_s3 *beside;
static int reads;
static int64_t clock_that_writes(void *arg)
{
    struct pr_err err;

    if (++reads == 3) /* twice in a try */
        assert_ok(pr_s3_put(beside, "changes", data + 7, SMALL, NULL, NULL, &err), &err);
    return ((struct stage *)arg)->clock_ms + pr_now_ms();
}

static void what_changed_meanwhile_is_not_mixed(void **state)
{
    (void)state;
    uint8_t buf[SMALL];
    struct pr_s3_info old, now;

    assert_ok(pr_s3_put(st.s3, "changes", data, SMALL, NULL, &old, &st.err), &st.err);
    beside = st.s3;
    st.s3 = NULL;
    st.store.now_ms = clock_that_writes;
    stage_reopen(&st);
    it_proxy_rules(&proxy, "truncate method=GET times=1");
    reads = 0;
    assert_ok(pr_s3_get(st.s3, "changes", 0, buf, SMALL, &now, &st.err), &st.err);
    assert_memory_equal(buf, data + 7, SMALL);
    assert_string_not_equal(old.etag, now.etag);
    assert_int_equal(retries(), 2);
    pr_s3_close(beside);
}

/* A fault that stays is an error when the deadline comes, and never later. */
static void what_stays_wrong_ends_at_the_deadline(void **state)
{
    (void)state;
    static const struct {
        const char *rules;
        enum pr_code want;
    } row[] = {
        { "slowdown", PR_EUNAVAIL }, { "error", PR_EUNAVAIL }, { "reset", PR_EUNAVAIL },
        { "lost", PR_EUNAVAIL },     { "stall", PR_ETIMEOUT }, { "silence", PR_ETIMEOUT },
        { "done503", PR_EUNAVAIL },
    };

    st.store.deadline_ms = 900;
    stage_reopen(&st);
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        it_proxy_rules(&proxy, row[i].rules);
        const int64_t begin = stage_ms();
        const uint64_t before = retries();
        const enum pr_code rc = put();
        const int64_t took = stage_ms() - begin;
        /* The deadline may come in the midst of a try. */
        if ((rc != row[i].want && rc != PR_ETIMEOUT) || took > 900 + 1000)
            fail_msg("%s: %s after %lld ms: %s", row[i].rules, pr_code_name(rc), (long long)took,
                     st.err.text);
        /* On a busy machine in the first. */
        if (retries() > before && strstr(st.err.text, "gave up after") == NULL)
            fail_msg("%s: %s after %lld ms: %s", row[i].rules, pr_code_name(rc), (long long)took,
                     st.err.text);
        assert_non_null(strstr(st.err.text, "prism/"));
    }
}

/* A kept connection that died unseen: libcurl sends again by itself, and a condition may then
 * meet what the first sending made. */
static void a_second_sending_that_nobody_asked_for_is_known(void **state)
{
    (void)state;
    const struct pr_s3_put once = { .if_none_match = true };
    struct pr_s3_counts before, after;

    assert_ok(put(), &st.err); /* the connection is in use */
    pr_s3_counts(st.s3, &before);
    it_proxy_rules(&proxy, "lost method=PUT times=1");
    assert_ok(pr_s3_put(st.s3, "again", data, SMALL, &once, NULL, &st.err), &st.err);
    pr_s3_counts(st.s3, &after);
    assert_int_equal(after.requests - before.requests, 3); /* twice PUT, and HEAD */
    assert_int_equal(after.retries - before.retries, 1);
}

/* --- the proxy ---------------------------------------------------------------------------- */

static void the_same_seed_does_the_same(void **state)
{
    (void)state;
    char log[2][8192];

    for (int run = 0; run < 3; run++) {
        char *at = log[run < 2 ? run : 1];
        char rules[96];

        (void)snprintf(rules, sizeof rules, "slowdown,error,reset,lost share=0.5 seed=%d",
                       run < 2 ? 7 : 8);
        it_proxy_rules(&proxy, rules);
        for (int i = 0; i < 10; i++)
            assert_ok(put(), &st.err);
        it_proxy_log(&proxy, at, sizeof log[0]);
        if (run == 1)
            assert_string_equal(log[0], log[1]);
        if (run == 2)
            assert_string_not_equal(log[0], log[1]);
    }
}

static void a_rule_may_kill_and_leave_a_mark(void **state)
{
    (void)state;
    char rules[256], mark[64];
    const char *argv[] = { "/bin/sleep", "60", NULL };
    const pid_t pid = it_spawn(NULL, argv);

    (void)snprintf(mark, sizeof mark, "/tmp/prism-s3-mark-%d", (int)getpid());
    (void)snprintf(rules, sizeof rules,
                   "pass method=PUT first=2 times=1 when=after pid=%d signal=10 touch=%s", (int)pid,
                   mark);
    it_proxy_rules(&proxy, rules);
    assert_ok(put(), &st.err);
    assert_int_not_equal(access(mark, F_OK), 0);
    assert_true(it_alive(pid));
    assert_ok(put(), &st.err);
    assert_int_equal(it_wait(pid, 5000), -10);
    assert_int_equal(access(mark, F_OK), 0);
    assert_int_equal(unlink(mark), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(every_fault_is_overcome_or_told),
        T(what_changed_meanwhile_is_not_mixed),
        T(what_stays_wrong_ends_at_the_deadline),
        T(a_second_sending_that_nobody_asked_for_is_known),
        T(the_same_seed_does_the_same),
        T(a_rule_may_kill_and_leave_a_mark),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);

    free(data);
    return failed;
}
