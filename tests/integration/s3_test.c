/* The S3 client against a real server: put, get, head, list, delete. */
#include "t.h"

#include "s3_stage.h"

#include <openssl/evp.h>
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

static void put_text(const char *key, const char *text)
{
    assert_ok(pr_s3_put(st.s3, key, text, strlen(text), NULL, NULL, &st.err), &st.err);
}

static void what_is_put_comes_back(void **state)
{
    (void)state;
    static const size_t SIZE[] = { 0, 1, 4096, 65537, 3 << 20 };

    for (size_t i = 0; i < PR_COUNT(SIZE); i++) {
        uint8_t *data = stage_data(i, SIZE[i]), hash[32];
        struct pr_s3_info put, head, read;
        struct pr_buf got;
        char key[32];

        (void)snprintf(key, sizeof key, "object-%zu", i);
        assert_int_equal(EVP_Digest(data, SIZE[i], hash, NULL, EVP_sha256(), NULL), 1);
        assert_ok(pr_s3_put(st.s3, key, data, SIZE[i], NULL, &put, &st.err), &st.err);
        assert_ok(pr_s3_head(st.s3, key, &head, &st.err), &st.err);
        pr_buf_init(&got, 4 << 20);
        pr_buf_str(&got, "before ");
        assert_ok(pr_s3_read(st.s3, key, &got, &read, &st.err), &st.err);
        assert_int_equal(got.len, SIZE[i] + 7);
        assert_memory_equal(got.data, "before ", 7);
        assert_memory_equal(got.data + 7, data, SIZE[i]);
        const struct pr_s3_info *info[] = { &put, &head, &read };
        for (size_t k = 0; k < PR_COUNT(info); k++) {
            assert_int_equal(info[k]->size_bytes, SIZE[i]);
            assert_string_equal(info[k]->etag, put.etag);
            assert_int_equal(strlen(info[k]->etag), 32);
            assert_true(info[k]->has_sha256);
            assert_memory_equal(info[k]->sha256, hash, sizeof hash);
        }
        assert_in_range(head.modified_ms, 1700000000000, UINT64_C(4000000000000));
        pr_buf_done(&got);
        free(data);
    }
}

static void ranges_are_those_that_were_asked_for(void **state)
{
    (void)state;
    enum { N = 100000 };
    uint8_t *data = stage_data(7, N), buf[N];
    static const struct {
        uint64_t offset;
        size_t n;
        enum pr_code want;
    } row[] = {
        { 0, N, PR_OK },        { 0, 1, PR_OK },    { N - 1, 1, PR_OK }, { 500, 1000, PR_OK },
        { N - 1, 2, PR_EDATA }, { N, 1, PR_EDATA }, { 0, 0, PR_EINVAL }, { 1000000, 5, PR_EDATA },
    };

    assert_ok(pr_s3_put(st.s3, "ranges", data, N, NULL, NULL, &st.err), &st.err);
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_s3_info info;

        memset(buf, 0, sizeof buf);
        const enum pr_code rc =
            pr_s3_get(st.s3, "ranges", row[i].offset, buf, row[i].n, &info, &st.err);
        if (rc != row[i].want)
            fail_msg("row %zu: %s", i, rc != PR_OK ? st.err.text : "ok");
        if (rc == PR_OK) {
            assert_memory_equal(buf, data + row[i].offset, row[i].n);
            assert_int_equal(info.size_bytes, N);
        }
    }
    assert_int_equal(pr_s3_get(st.s3, "nothing", 0, buf, 1, NULL, &st.err), PR_ENOTFOUND);
    assert_non_null(strstr(st.err.text, "404 NoSuchKey"));
    assert_non_null(strstr(st.err.text, "nothing"));
    free(data);
}

static void a_read_has_a_limit(void **state)
{
    (void)state;
    struct pr_buf out;

    put_text("ten", "0123456789");
    pr_buf_init(&out, 0);
    assert_int_equal(pr_s3_read(st.s3, "ten", &out, NULL, &st.err), PR_EINVAL);
    pr_buf_init(&out, 9);
    assert_int_equal(pr_s3_read(st.s3, "ten", &out, NULL, &st.err), PR_EFULL);
    pr_buf_done(&out);
    pr_buf_init(&out, 64);
    assert_ok(pr_s3_read(st.s3, "ten", &out, NULL, &st.err), &st.err);
    assert_string_equal(out.data, "0123456789");
    pr_buf_done(&out);
}

static void a_conditional_put_never_overwrites(void **state)
{
    (void)state;
    const struct pr_s3_put once = { .if_none_match = true },
                           again = { .if_none_match = true, .same_is_done = true };
    struct pr_buf out;

    assert_ok(pr_s3_put(st.s3, "once", "first", 5, &once, NULL, &st.err), &st.err);
    assert_int_equal(pr_s3_put(st.s3, "once", "other", 5, &once, NULL, &st.err), PR_EEXISTS);
    assert_int_equal(pr_s3_put(st.s3, "once", "other", 5, &again, NULL, &st.err), PR_EEXISTS);
    assert_int_equal(pr_s3_put(st.s3, "once", "first!", 6, &again, NULL, &st.err), PR_EEXISTS);
    assert_int_equal(pr_s3_put(st.s3, "once", "first", 5, &once, NULL, &st.err), PR_EEXISTS);
    assert_ok(pr_s3_put(st.s3, "once", "first", 5, &again, NULL, &st.err), &st.err);
    pr_buf_init(&out, 64);
    assert_ok(pr_s3_read(st.s3, "once", &out, NULL, &st.err), &st.err);
    assert_string_equal(out.data, "first");
    pr_buf_done(&out);
    assert_ok(pr_s3_delete(st.s3, "once", &st.err), &st.err);
    assert_ok(pr_s3_put(st.s3, "once", "other", 5, &once, NULL, &st.err), &st.err);
}

/* --- keys --------------------------------------------------------------------------------- */

static const char *const ODD[] = {
    ".",
    "a b+c=d:e@f",
    "a/b//c/",
    "a/../b/./c",
    "percent%41%",
    "amp&lt<gt>\"quote'",
    "query?x=1&y#fragment",
    "star*tilde~paren()!$,;",
    "umlaut-\xc3\xa4\xc3\xb6\xc3\xbc-\xe6\x97\xa5\xe6\x9c\xac",
    "back\\slash|pipe^caret`[x]{y}",
    "tab\there",
    "line\nbreak",
};

struct seen {
    char key[64][PR_S3_KEY_MAX + 1];
    bool folded[64];
    uint64_t size[64];
    size_t n, stop_at;
};

static bool see(void *arg, const struct pr_s3_entry *e)
{
    struct seen *s = arg;

    assert_true(s->n < PR_COUNT(s->key));
    (void)snprintf(s->key[s->n], sizeof s->key[0], "%s", e->key);
    s->folded[s->n] = e->folded;
    s->size[s->n++] = e->size_bytes;
    return s->stop_at == 0 || s->n < s->stop_at;
}

static struct seen *list(const struct pr_s3_list *what, size_t stop_at)
{
    static struct seen seen;

    seen = (struct seen){ .stop_at = stop_at };
    assert_ok(pr_s3_list(st.s3, what, see, &seen, &st.err), &st.err);
    return &seen;
}

static bool has(const struct seen *s, const char *key)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->key[i], key) == 0)
            return true;
    return false;
}

static void any_key_will_do(void **state)
{
    (void)state;
    struct pr_s3_info info;

    for (size_t i = 0; i < PR_COUNT(ODD); i++) {
        char text[32], got[32];
        const int n = snprintf(text, sizeof text, "value %zu", i);

        put_text(ODD[i], text);
        assert_ok(pr_s3_get(st.s3, ODD[i], 0, got, (size_t)n, &info, &st.err), &st.err);
        assert_memory_equal(got, text, (size_t)n);
    }
    const struct pr_s3_list all = { .prefix = "" };
    const struct seen *seen = list(&all, 0);
    assert_int_equal(seen->n, PR_COUNT(ODD));
    for (size_t i = 0; i < PR_COUNT(ODD); i++)
        assert_true(has(seen, ODD[i]));
    assert_ok(pr_s3_delete_all(st.s3, ODD, PR_COUNT(ODD), &st.err), &st.err);
    assert_int_equal(list(&all, 0)->n, 0);
}

static void a_key_that_is_none_is_refused(void **state)
{
    (void)state;
    char key[PR_S3_KEY_MAX + 2];
    struct pr_s3_info info;

    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    assert_int_equal(pr_s3_head(st.s3, key, &info, &st.err), PR_EINVAL);
    key[PR_S3_KEY_MAX - strlen(st.prefix) + 1] = '\0'; /* one too many with the prefix */
    assert_int_equal(pr_s3_put(st.s3, key, "x", 1, NULL, NULL, &st.err), PR_EINVAL);
    key[PR_S3_KEY_MAX - strlen(st.prefix)] = '\0';
    assert_ok(pr_s3_put(st.s3, key, "x", 1, NULL, NULL, &st.err), &st.err);
    assert_ok(pr_s3_head(st.s3, key, &info, &st.err), &st.err);
    assert_int_equal(pr_s3_head(st.s3, "", &info, &st.err), PR_EINVAL);
    assert_int_equal(pr_s3_head(st.s3, NULL, &info, &st.err), PR_EINVAL);
}

/* --- listing ------------------------------------------------------------------------------ */

static void listings_have_pages_folders_and_a_beginning(void **state)
{
    (void)state;
    char key[32];

    for (int i = 0; i < 25; i++) {
        (void)snprintf(key, sizeof key, "gen/%d/seg-%02d", i / 10, i);
        put_text(key, &"0123456789"[i % 10]);
    }
    put_text("gen/last", "z");
    put_text("gen/0-before", "");
    put_text("other", "z");

    struct pr_s3_list what = { .prefix = "gen/" };
    st.store.page = 4;
    stage_reopen(&st);
    const struct seen *s = list(&what, 0);
    assert_int_equal(s->n, 27);
    for (size_t i = 1; i < s->n; i++)
        assert_true(strcmp(s->key[i - 1], s->key[i]) < 0);
    assert_string_equal(s->key[0], "gen/0-before");
    assert_int_equal(s->size[0], 0);
    assert_string_equal(s->key[3], "gen/0/seg-02");
    assert_int_equal(s->size[3], 8);

    assert_int_equal(list(&what, 7)->n, 7); /* in the midst of a page */
    what.start_after = "gen/1/seg-17";
    s = list(&what, 0);
    assert_int_equal(s->n, 8);
    assert_string_equal(s->key[0], "gen/1/seg-18");
    what.start_after = "gen/zzz";
    assert_int_equal(list(&what, 0)->n, 0);

    for (int page = 1; page <= 5; page++) { /* both kinds, in order, over any page's end */
        static const char *const WANT[] = { "gen/0-before", "gen/0/", "gen/1/", "gen/2/",
                                            "gen/last" };
        what = (struct pr_s3_list){ .prefix = "gen/", .delimiter = "/" };
        st.store.page = page;
        stage_reopen(&st);
        s = list(&what, 0);
        assert_int_equal(s->n, PR_COUNT(WANT));
        for (size_t i = 0; i < PR_COUNT(WANT); i++) {
            assert_string_equal(s->key[i], WANT[i]);
            assert_int_equal(s->folded[i], i >= 1 && i <= 3);
        }
    }
    what = (struct pr_s3_list){ 0 };
    assert_int_equal(list(&what, 0)->n, 28);
}

static void deleting_what_is_not_there_is_done(void **state)
{
    (void)state;
    struct pr_s3_info info;

    put_text("here", "x");
    assert_ok(pr_s3_delete(st.s3, "here", &st.err), &st.err);
    assert_ok(pr_s3_delete(st.s3, "here", &st.err), &st.err);
    assert_int_equal(pr_s3_head(st.s3, "here", &info, &st.err), PR_ENOTFOUND);
    put_text("a", "x");
    static const char *const KEY[] = { "a", "never" };
    assert_ok(pr_s3_delete_all(st.s3, KEY, 2, &st.err), &st.err);
    assert_int_equal(pr_s3_head(st.s3, "a", &info, &st.err), PR_ENOTFOUND);
    assert_ok(pr_s3_delete_all(st.s3, KEY, 0, &st.err), &st.err);
}

static void a_thousand_and_some_are_deleted(void **state)
{
    (void)state;
    enum { N = 1003 };
    static char name[N][16];
    static const char *key[N];

    for (int i = 0; i < N; i++) {
        (void)snprintf(name[i], sizeof name[i], "k%d", i);
        key[i] = name[i];
    }
    put_text("k0", "x");
    put_text("k999", "x");
    put_text("k1002", "x");
    put_text("l", "x");
    assert_ok(pr_s3_delete_all(st.s3, key, N, &st.err), &st.err);
    const struct pr_s3_list all = { 0 };
    const struct seen *s = list(&all, 0);
    assert_int_equal(s->n, 1);
    assert_string_equal(s->key[0], "l");
}

/* --- connections -------------------------------------------------------------------------- */

static void tls_with_the_authority_and_by_name(void **state)
{
    (void)state;
    char url[64];
    struct pr_s3_info info;

    st.store.endpoint = it_env("IT_S3_TLS_URL");
    st.store.ca_file = it_env("IT_S3_CA_FILE");
    stage_reopen(&st);
    put_text("tls", "x");
    assert_ok(pr_s3_head(st.s3, "tls", &info, &st.err), &st.err);

    /* bucket.localhost */
    (void)snprintf(url, sizeof url, "https://localhost:%s", it_env("IT_S3_TLS_PORT"));
    st.store.endpoint = url;
    st.store.path_style = false;
    stage_reopen(&st);
    assert_ok(pr_s3_head(st.s3, "tls", &info, &st.err), &st.err);
    const struct pr_s3_list all = { 0 };
    assert_int_equal(list(&all, 0)->n, 1);

    st.store.ca_file = NULL;
    stage_reopen(&st);
    assert_int_equal(pr_s3_head(st.s3, "tls", &info, &st.err), PR_EDENIED);
    assert_non_null(strstr(st.err.text, "not trusted"));
    st.store.ca_file = "/nonexistent/ca.pem";
    stage_reopen(&st);
    assert_int_equal(pr_s3_head(st.s3, "tls", &info, &st.err), PR_EINVAL);
    st.store.ca_file = NULL;
}

static void a_connection_is_kept_and_counted(void **state)
{
    (void)state;
    struct pr_s3_counts c;

    for (int i = 0; i < 20; i++)
        put_text("kept", "0123456789");
    pr_s3_counts(st.s3, &c);
    assert_int_equal(c.requests, 20);
    assert_int_equal(c.retries, 0);
    assert_int_equal(c.sent_bytes, 200);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_is_put_comes_back),
        T(ranges_are_those_that_were_asked_for),
        T(a_read_has_a_limit),
        T(a_conditional_put_never_overwrites),
        T(any_key_will_do),
        T(a_key_that_is_none_is_refused),
        T(listings_have_pages_folders_and_a_beginning),
        T(deleting_what_is_not_there_is_done),
        T(a_thousand_and_some_are_deleted),
        T(tls_with_the_authority_and_by_name),
        T(a_connection_is_kept_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
