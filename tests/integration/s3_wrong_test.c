/* The S3 client with wrong keys, names, clocks and settings; keys that change; being stopped. */
#include "t.h"

#include "s3_stage.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct stage st;

static int setup(void **state)
{
    (void)state;
    stage_open(&st, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stage_close(&st);
    return 0;
}

static enum pr_code put(void)
{
    return pr_s3_put(st.s3, "key", "value", 5, NULL, NULL, &st.err);
}

static uint64_t requests(void)
{
    struct pr_s3_counts c;

    pr_s3_counts(st.s3, &c);
    return c.requests;
}

static void assert_said(const char *words)
{
    if (strstr(st.err.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", st.err.text, words);
}

static void wrong_keys_are_denied_at_once(void **state)
{
    (void)state;
    struct pr_s3_info info;

    (void)snprintf(st.keys.secret, sizeof st.keys.secret, "not-the-secret");
    assert_int_equal(put(), PR_EDENIED);
    assert_said("403 SignatureDoesNotMatch");
    assert_null(strstr(st.err.text, "not-the-secret"));
    assert_said("prism/");
    assert_said("/key");
    assert_int_equal(requests(), 1);
    assert_int_equal(pr_s3_head(st.s3, "key", &info, &st.err), PR_EDENIED); /* no body, no code */
    assert_said("403");

    (void)snprintf(st.keys.access, sizeof st.keys.access, "NOBODY");
    assert_int_equal(put(), PR_EDENIED);
    assert_said("403 InvalidAccessKeyId");
    st.keys.access[0] = '\0';
    assert_int_equal(put(), PR_EDENIED);
    assert_said("no keys");
    assert_int_equal(requests(), 3);
}

static void keys_that_changed_meanwhile_are_fetched(void **state)
{
    (void)state;
    st.next = st.keys;
    (void)snprintf(st.keys.secret, sizeof st.keys.secret, "expired");
    assert_ok(put(), &st.err);
    assert_int_equal(requests(), 2);
    assert_ok(put(), &st.err);
    assert_int_equal(requests(), 3);

    /* An answer to HEAD does not say why. */
    struct pr_s3_info info;
    st.keys_asked = 0;
    assert_ok(pr_s3_head(st.s3, "key", &info, &st.err), &st.err);
    assert_int_equal(requests(), 5);

    /* Others, but not better: no more than one look. */
    st.keys_asked = 0;
    (void)snprintf(st.next.secret, sizeof st.next.secret, "expired, too");
    assert_int_equal(put(), PR_EDENIED);
    assert_int_equal(requests(), 7);
}

static void unknown_buckets_are_named(void **state)
{
    (void)state;
    struct pr_s3_info info;
    const struct pr_s3_list all = { 0 };

    st.store.bucket = "no-such-bucket";
    stage_reopen(&st);
    assert_int_equal(put(), PR_ENOTFOUND);
    assert_said("no-such-bucket");
    assert_said("404 NoSuchBucket");
    assert_int_equal(pr_s3_head(st.s3, "key", &info, &st.err), PR_ENOTFOUND);
    assert_int_equal(pr_s3_delete(st.s3, "key", &st.err), PR_ENOTFOUND);
    assert_int_equal(pr_s3_list(st.s3, &all, NULL, NULL, &st.err), PR_ENOTFOUND);
    assert_int_equal(requests(), 4);
}

static void a_wrong_clock_is_told_by_how_much(void **state)
{
    (void)state;
    struct pr_s3_info info;

    st.clock_ms = INT64_C(20) * 60000;
    assert_int_equal(put(), PR_EDENIED);
    assert_said("s ahead of the server's");
    assert_true(strstr(st.err.text, "1200 s") != NULL || strstr(st.err.text, "1199 s") != NULL ||
                strstr(st.err.text, "1201 s") != NULL);
    st.clock_ms = -INT64_C(20) * 60000;
    assert_int_equal(put(), PR_EDENIED);
    assert_said("s behind the server's");
    assert_int_equal(pr_s3_head(st.s3, "key", &info, &st.err), PR_EDENIED);
    assert_said("s behind the server's");
    assert_int_equal(requests(), 3);
    st.clock_ms = INT64_C(10) * 60000; /* within what S3 forgives */
    assert_ok(put(), &st.err);
}

static void nobody_there(void **state)
{
    (void)state;
    char url[64];

    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d", it_free_port());
    st.store.endpoint = url;
    st.store.deadline_ms = 1000;
    stage_reopen(&st);
    const int64_t begin = stage_ms();
    assert_int_equal(put(), PR_EUNAVAIL);
    assert_in_range(stage_ms() - begin, 900, 5000);
    assert_said("gave up after");
    assert_true(requests() > 2);
}

static void settings_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *endpoint, *bucket, *region, *say;
    } row[] = {
        { NULL, "prism", "us-east-1", "endpoint" },
        { "", "prism", "us-east-1", "endpoint" },
        { "ftp://host", "prism", "us-east-1", "endpoint" },
        { "http://", "prism", "us-east-1", "endpoint" },
        { "http://host/path", "prism", "us-east-1", "endpoint" },
        { "http://user:secret@host", "prism", "us-east-1", "endpoint" },
        { "http://host", NULL, "us-east-1", "bucket" },
        { "http://host", "ab", "us-east-1", "bucket" },
        { "http://host", "Upper", "us-east-1", "bucket" },
        { "http://host", "a/b/c", "us-east-1", "bucket" },
        { "http://host", "prism", NULL, "region" },
        { "http://host", "prism", "eu central", "region" },
    };
    struct pr_s3 *s3;

    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_s3_store store = st.store;
        store.endpoint = row[i].endpoint;
        store.bucket = row[i].bucket;
        store.region = row[i].region;
        assert_int_equal(pr_s3_open(&store, NULL, &s3, &st.err), PR_EINVAL);
        assert_null(s3);
        assert_said(row[i].say);
        assert_null(strstr(st.err.text, "secret"));
    }
    struct pr_s3_store store = st.store;
    store.keys = NULL;
    assert_int_equal(pr_s3_open(&store, NULL, &s3, &st.err), PR_EINVAL);
    assert_said("keys");
    store = st.store;
    store.stall_ms = -1;
    assert_int_equal(pr_s3_open(&store, NULL, &s3, &st.err), PR_EINVAL);
    store = st.store;
    store.endpoint = "http://host/";
    assert_ok(pr_s3_open(&store, NULL, &s3, &st.err), &st.err);
    pr_s3_close(s3);
    pr_s3_close(NULL);
}

/* --- being stopped ------------------------------------------------------------------------ */

struct call {
    enum pr_code rc;
    int64_t took_ms;
};

static void *call(void *arg)
{
    struct call *c = arg;
    const int64_t begin = stage_ms();

    c->rc = put();
    c->took_ms = stage_ms() - begin;
    return NULL;
}

static bool has_asked(void *ctx)
{
    char log[4096];

    it_proxy_log(ctx, log, sizeof log);
    return log[0] != '\0';
}

/* In a wait for the server (its log then has a line of what came before), and between tries. */
static void cancel_ends_a_call_within_a_second(void **state)
{
    (void)state;
    static const struct {
        const char *rules;
        int64_t base_ms;
    } row[] = { { "error times=1\nstall ms=20000", 1 }, { "error", 60000 } };
    struct it_proxy proxy = { 0 };

    stage_proxy(&proxy);
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct call c = { 0 };
        pthread_t thread;

        it_proxy_rules(&proxy, row[i].rules);
        atomic_store(&st.cancel, false);
        st.store.endpoint = proxy.url;
        st.store.deadline_ms = 600000;
        st.store.stall_ms = 60000;
        st.store.backoff = (struct pr_backoff){ row[i].base_ms, row[i].base_ms };
        stage_reopen(&st);
        assert_int_equal(pthread_create(&thread, NULL, call, &c), 0);
        assert_true(it_await(has_asked, &proxy, 5000));
        const int64_t at = stage_ms();
        atomic_store(&st.cancel, true);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_true(stage_ms() - at < 1000);
        assert_int_equal(c.rc, PR_ECANCELED);
        assert_said("cancel");
    }
    /* And what begins after it does nothing. */
    const uint64_t before = requests();
    assert_int_equal(put(), PR_ECANCELED);
    assert_int_equal(requests(), before);
    assert_int_equal(it_stop(proxy.pid), -SIGTERM);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(wrong_keys_are_denied_at_once),
        T(keys_that_changed_meanwhile_are_fetched),
        T(unknown_buckets_are_named),
        T(a_wrong_clock_is_told_by_how_much),
        T(nobody_there),
        T(settings_are_checked),
        T(cancel_ends_a_call_within_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
