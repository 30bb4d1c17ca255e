/* Uploads in parts, and what is left of those that were never finished. */
#include "t.h"

#include "s3_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PART = PR_S3_PART_MIN_BYTES, LAST = 12345, WHOLE = 2 * PART + LAST };

static struct stage st;
static uint8_t *data;

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

static int make_data(void **state)
{
    (void)state;
    data = stage_data(3, WHOLE);
    return 0;
}

static int free_data(void **state)
{
    (void)state;
    free(data);
    return 0;
}

static size_t size_of(int number)
{
    return number < 3 ? PART : LAST;
}

static void send_part(struct pr_s3 *s3, const struct pr_s3_upload *u, int number,
                      struct pr_s3_part *part)
{
    assert_ok(pr_s3_upload_part(s3, u, number, data + (size_t)(number - 1) * PART, size_of(number),
                                part, &st.err),
              &st.err);
    assert_int_equal(part->number, number);
    assert_int_equal(part->size_bytes, size_of(number));
}

static void upload(const char *key, struct pr_s3_upload *u, struct pr_s3_part part[3])
{
    assert_ok(pr_s3_upload_begin(st.s3, key, u, &st.err), &st.err);
    for (int number = 3; number >= 1; number--) /* in any order */
        send_part(st.s3, u, number, &part[number - 1]);
}

static void parts_make_the_object(void **state)
{
    (void)state;
    struct pr_s3_upload u;
    struct pr_s3_part part[3];
    struct pr_s3_info made, info;
    struct pr_s3 *other;
    uint8_t *got = malloc(WHOLE);

    assert_non_null(got);
    upload("big", &u, part);
    assert_int_equal(pr_s3_head(st.s3, "big", &info, &st.err), PR_ENOTFOUND);
    /* One again, from another connection. */
    assert_ok(pr_s3_open(&st.store, NULL, &other, &st.err), &st.err);
    send_part(other, &u, 2, &part[1]);
    assert_ok(pr_s3_upload_finish(other, &u, part, 3, false, &made, &st.err), &st.err);
    pr_s3_close(other);
    assert_int_equal(made.size_bytes, WHOLE);
    assert_ok(pr_s3_get(st.s3, "big", 0, got, WHOLE, &info, &st.err), &st.err);
    assert_memory_equal(got, data, WHOLE);
    assert_string_equal(info.etag, made.etag);
    assert_string_equal(info.nonce, u.nonce);
    assert_false(info.has_sha256);
    assert_non_null(strstr(info.etag, "-3"));

    /* Who was killed before the answer finishes again, and learns that it is done. */
    assert_ok(pr_s3_upload_finish(st.s3, &u, part, 3, false, &info, &st.err), &st.err);
    assert_string_equal(info.etag, made.etag);
    assert_ok(pr_s3_upload_finish(st.s3, &u, part, 3, true, &info, &st.err), &st.err);
    part[2].size_bytes++; /* not what it was made of */
    assert_int_equal(pr_s3_upload_finish(st.s3, &u, part, 3, true, &info, &st.err), PR_EDATA);
    free(got);
}

static void finishing_does_not_overwrite_if_told_so(void **state)
{
    (void)state;
    struct pr_s3_upload u;
    struct pr_s3_part part[3];
    struct pr_buf out;

    assert_ok(pr_s3_put(st.s3, "taken", "x", 1, NULL, NULL, &st.err), &st.err);
    upload("taken", &u, part);
    assert_int_equal(pr_s3_upload_finish(st.s3, &u, part, 3, true, NULL, &st.err), PR_EEXISTS);
    pr_buf_init(&out, 64);
    assert_ok(pr_s3_read(st.s3, "taken", &out, NULL, &st.err), &st.err);
    assert_string_equal(out.data, "x");
    pr_buf_done(&out);
    assert_ok(pr_s3_delete(st.s3, "taken", &st.err), &st.err);
    assert_ok(pr_s3_upload_finish(st.s3, &u, part, 3, true, NULL, &st.err), &st.err);
}

static void what_makes_no_object_is_refused(void **state)
{
    (void)state;
    struct pr_s3_upload u;
    struct pr_s3_part part[3], swapped[2], wrong[3];

    upload("no", &u, part);
    swapped[0] = part[1];
    swapped[1] = part[0];
    assert_int_equal(pr_s3_upload_finish(st.s3, &u, swapped, 2, false, NULL, &st.err), PR_EINVAL);
    assert_int_equal(pr_s3_upload_finish(st.s3, &u, part, 0, false, NULL, &st.err), PR_EINVAL);
    memcpy(wrong, part, sizeof wrong);
    memcpy(wrong[1].etag, "00000000000000000000000000000000", 32);
    if (pr_s3_upload_finish(st.s3, &u, wrong, 3, false, NULL, &st.err) != PR_EINVAL)
        fail_msg("%s", st.err.text);
    assert_non_null(strstr(st.err.text, "InvalidPart"));
    assert_int_equal(pr_s3_upload_part(st.s3, &u, 0, "x", 1, &part[0], &st.err), PR_EINVAL);
    assert_int_equal(pr_s3_upload_part(st.s3, &u, 10001, "x", 1, &part[0], &st.err), PR_EINVAL);

    assert_ok(pr_s3_upload_abort(st.s3, &u, &st.err), &st.err);
    assert_ok(pr_s3_upload_abort(st.s3, &u, &st.err), &st.err); /* gone already */
    assert_int_equal(pr_s3_upload_part(st.s3, &u, 1, "x", 1, &part[0], &st.err), PR_ENOTFOUND);
    /* S3 says 404 to that; Ceph 500, again and again. */
    st.store.deadline_ms = 200;
    stage_reopen(&st);
    const enum pr_code rc = pr_s3_upload_finish(st.s3, &u, part, 3, false, NULL, &st.err);
    if (rc != PR_ENOTFOUND)
        assert_non_null(strstr(st.err.text, "500 InternalError"));
}

/* What no listing of objects shows. */
static void orphans_are_swept_by_age_and_place(void **state)
{
    (void)state;
    struct pr_s3_upload u[6];
    struct pr_s3_part part;
    struct pr_s3_info info;
    size_t aborted = 99;
    static const char *const KEY[] = { "gen/1/base", "gen/1/base", "gen/1/a b&<%41\xc3\xa4",
                                       "gen/2/base", "keep/1",     "keep/2" };

    for (size_t i = 0; i < PR_COUNT(u); i++) {
        assert_ok(pr_s3_upload_begin(st.s3, KEY[i], &u[i], &st.err), &st.err);
        assert_ok(pr_s3_upload_part(st.s3, &u[i], 1, "x", 1, &part, &st.err), &st.err);
    }
    assert_ok(pr_s3_sweep(st.s3, "", 1700000000000, &aborted, &st.err), &st.err); /* too young */
    assert_int_equal(aborted, 0);
    assert_ok(pr_s3_sweep(st.s3, "gen/1/", INT64_MAX, &aborted, &st.err), &st.err);
    assert_int_equal(aborted, 3);
    assert_ok(pr_s3_sweep(st.s3, "gen/", INT64_MAX, &aborted, &st.err), &st.err);
    assert_int_equal(aborted, 1);
    assert_int_equal(pr_s3_upload_part(st.s3, &u[3], 1, "x", 1, &part, &st.err), PR_ENOTFOUND);
    /* One that is at work is let alone. */
    assert_ok(pr_s3_upload_part(st.s3, &u[4], 1, "x", 1, &part, &st.err), &st.err);
    assert_ok(pr_s3_upload_finish(st.s3, &u[4], &part, 1, true, NULL, &st.err), &st.err);
    assert_ok(pr_s3_head(st.s3, "keep/1", &info, &st.err), &st.err);
    assert_ok(pr_s3_sweep(st.s3, NULL, INT64_MAX, &aborted, &st.err), &st.err);
    assert_int_equal(aborted, 1);
}

static void many_orphans_take_more_than_a_page(void **state)
{
    (void)state;
    enum { N = 23 };
    struct pr_s3_upload u;
    size_t aborted = 0;
    char key[32];

    st.store.page = 4;
    stage_reopen(&st);
    for (int i = 0; i < N; i++) {
        (void)snprintf(key, sizeof key, "o/%d", i / 2); /* two of each */
        assert_ok(pr_s3_upload_begin(st.s3, key, &u, &st.err), &st.err);
    }
    assert_ok(pr_s3_sweep(st.s3, "o/", INT64_MAX, &aborted, &st.err), &st.err);
    assert_int_equal(aborted, N);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(parts_make_the_object),
        T(finishing_does_not_overwrite_if_told_so),
        T(what_makes_no_object_is_refused),
        T(orphans_are_swept_by_age_and_place),
        T(many_orphans_take_more_than_a_page),
    };
    return cmocka_run_group_tests(tests, make_data, free_data);
}
