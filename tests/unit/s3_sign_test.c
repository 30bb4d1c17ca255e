/* Signatures against those that AWS publishes: "Signature calculations: examples" of the S3 API
 * reference (bucket examplebucket) and the test suite of Signature Version 4 (service). */
#include "prism/s3/sign.h"

#include "t.h"

#include <stdbool.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define AT_S3 INT64_C(1369353600000) /* 2013-05-24 00:00:00 */
#define AT    INT64_C(1440938160000) /* 2015-08-30 12:36:00 */

enum { HEADERS = 6 };

struct example {
    const char *name;
    const char *method, *path, *query;
    struct pr_sigv4_pair header[HEADERS]; /* as the example has them, unsorted */
    const char *payload;
    const char *headers, *signature;
};

static const struct example S3[] = {
    { "GET object",
      "GET",
      "/test.txt",
      "",
      { { "range", "bytes=0-9" },
        { "host", "examplebucket.s3.amazonaws.com" },
        { "x-amz-date", "20130524T000000Z" },
        { "x-amz-content-sha256", EMPTY } },
      EMPTY,
      "host;range;x-amz-content-sha256;x-amz-date",
      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41" },
    { "PUT object",
      "PUT",
      "/test%24file.text",
      "",
      { { "date", "Fri, 24 May 2013 00:00:00 GMT" },
        { "host", "examplebucket.s3.amazonaws.com" },
        { "x-amz-date", "20130524T000000Z" },
        { "x-amz-storage-class", "REDUCED_REDUNDANCY" },
        { "x-amz-content-sha256",
          "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072" } },
      "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
      "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd" },
    { "GET bucket lifecycle",
      "GET",
      "/",
      "lifecycle=",
      { { "host", "examplebucket.s3.amazonaws.com" },
        { "x-amz-date", "20130524T000000Z" },
        { "x-amz-content-sha256", EMPTY } },
      EMPTY,
      "host;x-amz-content-sha256;x-amz-date",
      "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543" },
    { "list objects",
      "GET",
      "/",
      "max-keys=2&prefix=J",
      { { "host", "examplebucket.s3.amazonaws.com" },
        { "x-amz-date", "20130524T000000Z" },
        { "x-amz-content-sha256", EMPTY } },
      EMPTY,
      "host;x-amz-content-sha256;x-amz-date",
      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7" },
};

static const struct example SUITE[] = {
    { "get-vanilla",
      "GET",
      "/",
      "",
      { { "host", "example.amazonaws.com" }, { "x-amz-date", "20150830T123600Z" } },
      EMPTY,
      "host;x-amz-date",
      "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
    { "get-vanilla-query-order-key-case",
      "GET",
      "/",
      "Param1=value1&Param2=value2",
      { { "x-amz-date", "20150830T123600Z" }, { "host", "example.amazonaws.com" } },
      EMPTY,
      "host;x-amz-date",
      "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
    { "get-header-value-trim",
      "GET",
      "/",
      "",
      { { "host", "example.amazonaws.com" },
        { "my-header1", "  value1  " },
        { "my-header2", "\"a   b   c\"  " },
        { "x-amz-date", "20150830T123600Z" } },
      EMPTY,
      "host;my-header1;my-header2;x-amz-date",
      "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736" },
    { "post-vanilla",
      "POST",
      "/",
      "",
      { { "host", "example.amazonaws.com" }, { "x-amz-date", "20150830T123600Z" } },
      EMPTY,
      "host;x-amz-date",
      "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b" },
};

static struct pr_sigv4 request_of(const struct example *e, bool s3)
{
    struct pr_sigv4 r = { .method = e->method,
                          .path = e->path,
                          .query = e->query,
                          .header = e->header,
                          .payload = e->payload,
                          .access = s3 ? "AKIAIOSFODNN7EXAMPLE" : "AKIDEXAMPLE",
                          .secret = s3 ? "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
                                       : "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                          .region = "us-east-1",
                          .service = s3 ? "s3" : "service",
                          .now_ms = s3 ? AT_S3 : AT };

    while (r.headers < HEADERS && e->header[r.headers].name != NULL)
        r.headers++;
    return r;
}

static void check(const struct example *e, bool s3)
{
    const struct pr_sigv4 r = request_of(e, s3);
    struct pr_buf got;
    struct pr_err err;
    char want[600];

    pr_buf_init(&got, 0);
    assert_ok(pr_sigv4_sign(&r, &got, &err), &err);
    (void)snprintf(want, sizeof want,
                   "AWS4-HMAC-SHA256 Credential=%s/%s/us-east-1/%s/aws4_request,"
                   "SignedHeaders=%s,Signature=%s",
                   r.access, s3 ? "20130524" : "20150830", r.service, e->headers, e->signature);
    if (strcmp(got.data, want) != 0)
        fail_msg("%s:\n got %s\nwant %s", e->name, got.data, want);
    pr_buf_done(&got);
}

static void signatures_are_those_of_the_s3_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < PR_COUNT(S3); i++)
        check(&S3[i], true);
}

static void signatures_are_those_of_the_test_suite(void **state)
{
    (void)state;
    for (size_t i = 0; i < PR_COUNT(SUITE); i++)
        check(&SUITE[i], false);
}

static void everything_is_in_the_signature(void **state)
{
    (void)state;
    const struct pr_sigv4 plain = request_of(&S3[0], true);
    struct pr_sigv4_pair other[HEADERS];
    struct pr_buf one, two;
    struct pr_err err;

    memcpy(other, S3[0].header, sizeof other);
    other[0].value = "bytes=0-8";
    for (int change = 0; change < 8; change++) {
        struct pr_sigv4 r = plain;
        switch (change) {
        case 0:
            r.method = "PUT";
            break;
        case 1:
            r.path = "/test.txu";
            break;
        case 2:
            r.query = "a=b";
            break;
        case 3:
            r.header = other;
            break;
        case 4:
            r.secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEZ";
            break;
        case 5:
            r.region = "us-east-2";
            break;
        case 6:
            r.now_ms += 1000;
            break;
        default:
            r.payload = "UNSIGNED-PAYLOAD";
        }
        pr_buf_init(&one, 0);
        pr_buf_init(&two, 0);
        assert_ok(pr_sigv4_sign(&plain, &one, &err), &err);
        assert_ok(pr_sigv4_sign(&r, &two, &err), &err);
        assert_string_not_equal(strstr(one.data, "Signature="), strstr(two.data, "Signature="));
        pr_buf_done(&one);
        pr_buf_done(&two);
    }
}

static void what_cannot_be_signed_is_refused(void **state)
{
    (void)state;
    struct pr_sigv4_pair many[PR_SIGV4_HEADERS + 1];
    struct pr_sigv4 r = request_of(&S3[0], true);
    char secret[400];
    struct pr_buf out;
    struct pr_err err;

    pr_buf_init(&out, 0);
    for (size_t i = 0; i < PR_COUNT(many); i++)
        many[i] = (struct pr_sigv4_pair){ "a", "b" };
    r.header = many;
    r.headers = PR_COUNT(many);
    assert_int_equal(pr_sigv4_sign(&r, &out, &err), PR_EINVAL);
    r.headers = 2; /* twice the same */
    assert_int_equal(pr_sigv4_sign(&r, &out, &err), PR_EINVAL);
    r.headers = 1; /* no host */
    assert_int_equal(pr_sigv4_sign(&r, &out, &err), PR_EINVAL);

    r = request_of(&S3[0], true);
    memset(secret, 'x', sizeof secret - 1);
    secret[sizeof secret - 1] = '\0';
    r.secret = secret;
    assert_int_equal(pr_sigv4_sign(&r, &out, &err), PR_EINTERNAL);
    assert_null(strstr(err.text, "xxx"));
    pr_buf_done(&out);
}

static void dates(void **state)
{
    (void)state;
    char date[PR_SIGV4_DATE];

    pr_sigv4_date(AT_S3 + 999, date);
    assert_string_equal(date, "20130524T000000Z");
    pr_sigv4_date(0, date);
    assert_string_equal(date, "19700101T000000Z");
    pr_sigv4_date(INT64_C(253402300800000), date); /* the year 10000 has no such date */
    assert_string_equal(date, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_are_those_of_the_s3_reference),
        cmocka_unit_test(signatures_are_those_of_the_test_suite),
        cmocka_unit_test(everything_is_in_the_signature),
        cmocka_unit_test(what_cannot_be_signed_is_refused),
        cmocka_unit_test(dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
