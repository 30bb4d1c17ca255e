/* What S3's answers mean, and how what is sent to it is spelt. */
#include "s3_private.h"

#include "t.h"

#include <string.h>

static void status_and_code_decide(void **state)
{
    (void)state;
    static const struct {
        long status;
        const char *code;
        struct s3_verdict want;
    } row[] = {
        { 200, "", { PR_OK, false, false } },
        { 204, "", { PR_OK, false, false } },
        { 206, "", { PR_OK, false, false } },
        /* An error under 200. */
        { 200, "InternalError", { PR_EUNAVAIL, true, false } },
        { 200, "SlowDown", { PR_EUNAVAIL, true, false } },
        { 200, "AccessDenied", { PR_EDENIED, false, false } },
        { 200, "SomethingNew", { PR_EUNAVAIL, true, false } },
        { 500, "", { PR_EUNAVAIL, true, false } },
        { 502, "", { PR_EUNAVAIL, true, false } },
        { 503, "SlowDown", { PR_EUNAVAIL, true, false } },
        { 504, "", { PR_EUNAVAIL, true, false } },
        { 429, "", { PR_EUNAVAIL, true, false } },
        { 400, "RequestTimeout", { PR_ETIMEOUT, true, false } },
        { 408, "", { PR_ETIMEOUT, true, false } },
        { 409, "ConditionalRequestConflict", { PR_EUNAVAIL, true, false } },
        { 400, "BadDigest", { PR_EDATA, true, false } },
        { 400, "XAmzContentSHA256Mismatch", { PR_EDATA, true, false } },
        /* Never again. */
        { 403, "AccessDenied", { PR_EDENIED, false, false } },
        { 403, "", { PR_EDENIED, false, false } },
        { 401, "", { PR_EDENIED, false, false } },
        { 403, "RequestTimeTooSkewed", { PR_EDENIED, false, false } },
        { 403, "SignatureDoesNotMatch", { PR_EDENIED, false, true } },
        { 400, "ExpiredToken", { PR_EDENIED, false, true } },
        { 404, "NoSuchKey", { PR_ENOTFOUND, false, false } },
        { 404, "", { PR_ENOTFOUND, false, false } },
        { 412, "PreconditionFailed", { PR_ECONFLICT, false, false } },
        { 412, "", { PR_ECONFLICT, false, false } },
        { 416, "", { PR_EDATA, false, false } },
        { 301, "PermanentRedirect", { PR_EINVAL, false, false } },
        { 307, "", { PR_EINVAL, false, false } },
        { 400, "MalformedXML", { PR_EINVAL, false, false } },
        { 405, "", { PR_EINVAL, false, false } },
        { 501, "NotImplemented", { PR_EINVAL, false, false } },
        { 507, "", { PR_EFULL, false, false } },
        { 403, "QuotaExceeded", { PR_EFULL, false, false } },
        { 100, "", { PR_EUNAVAIL, true, false } },
    };

    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct s3_verdict got = s3_judge(row[i].status, row[i].code);
        if (got.code != row[i].want.code || got.again != row[i].want.again ||
            got.keys != row[i].want.keys)
            fail_msg("%ld \"%s\": %s, again %d, keys %d", row[i].status, row[i].code,
                     pr_code_name(got.code), got.again, got.keys);
    }
}

static void ranges_are_read_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        uint64_t first, last, total;
    } row[] = {
        { "bytes 0-99/1000", true, 0, 99, 1000 },
        { "bytes 0-0/1", true, 0, 0, 1 },
        { "bytes 5-9/10", true, 5, 9, 10 },
        { "bytes 18446744073709551613-18446744073709551614/18446744073709551615", true,
          UINT64_MAX - 2, UINT64_MAX - 1, UINT64_MAX },
        { "", false, 0, 0, 0 },
        { "bytes */1000", false, 0, 0, 0 },
        { "bytes 0-99/*", false, 0, 0, 0 },
        { "bytes 9-5/10", false, 0, 0, 0 },
        { "bytes 5-10/10", false, 0, 0, 0 },
        { "bytes -5-9/10", false, 0, 0, 0 },
        { "bytes 5--9/10", false, 0, 0, 0 },
        { "bytes 5-9/-10", false, 0, 0, 0 },
        { "bytes 5-9/10 ", false, 0, 0, 0 },
        { "bytes 5-9/10/11", false, 0, 0, 0 },
        { "bytes 5-9", false, 0, 0, 0 },
        { "bits 5-9/10", false, 0, 0, 0 },
        { "bytes 5-99999999999999999999999/10", false, 0, 0, 0 },
    };

    for (size_t i = 0; i < PR_COUNT(row); i++) {
        uint64_t first = 0, last = 0, total = 0;
        if (s3_content_range(row[i].text, &first, &last, &total) != row[i].ok ||
            first != row[i].first || last != row[i].last || total != row[i].total)
            fail_msg("\"%s\"", row[i].text);
    }
}

static void keys_are_encoded_and_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *plain, *path, *query;
    } row[] = {
        { "", "", "" },
        { "a/b", "a/b", "a%2Fb" },
        { "AZaz09-._~", "AZaz09-._~", "AZaz09-._~" },
        { " +%=&?#", "%20%2B%25%3D%26%3F%23", "%20%2B%25%3D%26%3F%23" },
        { "\xc3\xa4\x01\x7f", "%C3%A4%01%7F", "%C3%A4%01%7F" },
        { "*'()!", "%2A%27%28%29%21", "%2A%27%28%29%21" },
    };
    struct pr_buf b;

    for (size_t i = 0; i < PR_COUNT(row); i++) {
        for (int slash = 0; slash < 2; slash++) {
            pr_buf_init(&b, 0);
            s3_encode(&b, row[i].plain, slash);
            pr_buf_str(&b, "");
            assert_string_equal(b.data != NULL ? b.data : "", slash ? row[i].path : row[i].query);
            if (b.data != NULL) {
                assert_true(s3_decode(b.data));
                assert_string_equal(b.data, row[i].plain);
            }
            pr_buf_done(&b);
        }
    }
    char plus[] = "a+b", small[] = "%c3%A4";
    assert_true(s3_decode(plus));
    assert_string_equal(plus, "a b");
    assert_true(s3_decode(small));
    assert_string_equal(small, "\xc3\xa4");
    static const char *const BAD[] = { "%", "%4", "a%", "%4g", "%g4", "%00", "%-1", "a%0" };
    for (size_t i = 0; i < PR_COUNT(BAD); i++) {
        char text[8];
        (void)strcpy(text, BAD[i]);
        assert_false(s3_decode(text));
    }
}

static void small_things_are_spelt_as_s3_has_them(void **state)
{
    (void)state;
    char etag[PR_S3_ETAG], crc[9], hex[7];
    uint8_t bytes[3];
    struct pr_buf b;

    s3_etag("\"abc-3\"", etag);
    assert_string_equal(etag, "abc-3");
    s3_etag("W/\"abc\"", etag);
    assert_string_equal(etag, "abc");
    s3_etag("abc", etag);
    assert_string_equal(etag, "abc");
    s3_etag("", etag);
    assert_string_equal(etag, "");
    s3_crc_base64(0xe3069283, crc); /* of 123456789 */
    assert_string_equal(crc, "4waSgw==");

    s3_hex((const uint8_t *)"\x00\xff\x1a", 3, hex);
    assert_string_equal(hex, "00ff1a");
    assert_true(s3_unhex("00Ff1a", bytes, 3));
    assert_memory_equal(bytes, "\x00\xff\x1a", 3);
    assert_false(s3_unhex("00ff1", bytes, 3));
    assert_false(s3_unhex("00ff1a2b", bytes, 3));
    assert_false(s3_unhex("00fg1a", bytes, 3));

    pr_buf_init(&b, 0);
    s3_xml_text(&b, "a&b<c>\"d'");
    assert_string_equal(b.data, "a&amp;b&lt;c&gt;&quot;d'");
    pr_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_and_code_decide),
        cmocka_unit_test(ranges_are_read_exactly),
        cmocka_unit_test(keys_are_encoded_and_decoded),
        cmocka_unit_test(small_things_are_spelt_as_s3_has_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
