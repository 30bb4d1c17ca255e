#include "t.h"

#include "api_jwt.h"

#include <string.h>

static const struct api_jwt_rules rules = { "iss", "aud", "", 30 };
enum { NOW = 1000000 };

static void claims_are_judged_in_order(void **state)
{
    (void)state;
    static const char *const aud[] = { "x", "aud" }, *const others[] = { "x", "au", "audd", NULL };
    char sub_127[128] = "", sub_128[129] = "";
    memset(sub_127, 's', 127);
    memset(sub_128, 's', 128);
    const struct api_jwt_claims good = {
        .iss = "iss", .sub = "alice", .aud = aud, .n_aud = 2, .has_exp = true, .exp_s = NOW + 1
    };
    struct api_jwt_claims row[24];
    enum api_jwt_why want[24];
    size_t n = 0;
#define ROW(why, ...)                                                                              \
    do {                                                                                           \
        struct api_jwt_claims *c = &row[n];                                                        \
        *c = good;                                                                                 \
        __VA_ARGS__;                                                                               \
        want[n++] = (why);                                                                         \
    } while (0)
    ROW(API_JWT_GOOD, (void)c);
    ROW(API_JWT_ISSUER, c->iss = NULL);
    ROW(API_JWT_ISSUER, c->iss = "ISS");
    ROW(API_JWT_AUDIENCE, c->n_aud = 1);
    ROW(API_JWT_AUDIENCE, c->n_aud = 0);
    ROW(API_JWT_AUDIENCE, c->aud = others; c->n_aud = 4);
    ROW(API_JWT_SHAPE, c->bad_time = true);
    ROW(API_JWT_NO_EXPIRY, c->has_exp = false);
    ROW(API_JWT_GOOD, c->exp_s = NOW - 29);
    ROW(API_JWT_EXPIRED, c->exp_s = NOW - 30);
    ROW(API_JWT_EXPIRED, c->exp_s = 0);
    ROW(API_JWT_GOOD, c->has_nbf = true; c->nbf_s = NOW + 30);
    ROW(API_JWT_EARLY, c->has_nbf = true; c->nbf_s = NOW + 31);
    ROW(API_JWT_GOOD, c->nbf_s = NOW + 31); /* not there */
    ROW(API_JWT_GOOD, c->has_iat = true; c->iat_s = NOW + 30);
    ROW(API_JWT_EARLY, c->has_iat = true; c->iat_s = NOW + 31);
    ROW(API_JWT_SUBJECT, c->sub = NULL);
    ROW(API_JWT_SUBJECT, c->sub = "");
    ROW(API_JWT_SUBJECT, c->sub = "a\nb");
    ROW(API_JWT_SUBJECT, c->sub = "a\x7f");
    ROW(API_JWT_SUBJECT, c->sub = sub_128);
    ROW(API_JWT_GOOD, c->sub = sub_127);
    ROW(API_JWT_ISSUER, c->iss = "x"; c->sub = NULL; c->exp_s = 0); /* the first counts */
    for (size_t i = 0; i < n; i++)
        if (api_jwt_judge(&rules, &row[i], NOW) != want[i])
            fail_msg("%zu: %s, want %s", i, api_jwt_label(api_jwt_judge(&rules, &row[i], NOW)),
                     api_jwt_label(want[i]));
}

static void every_reason_has_a_label_and_words_that_tell_little(void **state)
{
    (void)state;
    for (int why = 0; why < API_JWT_WHY_COUNT; why++) {
        assert_non_null(api_jwt_label((enum api_jwt_why)why));
        const char *words = api_jwt_words((enum api_jwt_why)why);
        assert_null(strstr(words, "iss"));
        assert_null(strstr(words, "sign"));
        assert_null(strstr(words, "key"));
    }
}

static void only_key_pairs_are_algorithms(void **state)
{
    (void)state;
    static const char *const good[] = { "RS256", "ES256,EdDSA", "PS512,RS384,ES384" },
                             *const bad[] = {
                                 "",       "HS256",  "none",        "RS256,HS256", "RS256,",
                                 ",RS256", "rs256",  "RS2566",      "RS25",        "ES256K",
                                 "RS256 ", "A128KW", "RS256,,ES256"
                             };
    struct pr_err err;
    for (size_t i = 0; i < PR_COUNT(good); i++)
        assert_ok(api_jwt_algs_check(good[i], &err), &err);
    for (size_t i = 0; i < PR_COUNT(bad); i++)
        assert_int_equal(api_jwt_algs_check(bad[i], &err), PR_EINVAL);
    assert_true(api_jwt_alg_listed("RS256,ES256", "RS256"));
    assert_true(api_jwt_alg_listed("RS256,ES256", "ES256"));
    static const char *const others[] = { "RS25", "RS2566", "", "none", "RS256,ES256", "S256" };
    for (size_t i = 0; i < PR_COUNT(others); i++)
        assert_false(api_jwt_alg_listed("RS256,ES256", others[i]));
}

static void keys_sign_what_they_are_for(void **state)
{
    (void)state;
    static const struct {
        const char *alg;
        struct api_jwk key;
        bool fits;
    } row[] = {
        { "RS256", { .kty = "RSA", .bits = 2048 }, true },
        { "RS256", { .kty = "RSA", .bits = 2047 }, false },
        { "PS512", { .kty = "RSA", .bits = 4096, .use = "sig", .alg = "PS512" }, true },
        { "PS512", { .kty = "RSA", .bits = 4096, .alg = "RS256" }, false },
        { "RS256", { .kty = "RSA", .bits = 4096, .use = "enc" }, false },
        { "RS256", { .kty = "RSA", .bits = 4096, .is_private = true }, false },
        { "RS256", { .kty = "EC", .crv = "P-256" }, false },
        { "RS256", { .kty = NULL, .bits = 4096 }, false },
        { "ES256", { .kty = "EC", .crv = "P-256" }, true },
        { "ES256", { .kty = "EC", .crv = "P-384" }, false },
        { "ES256", { .kty = "EC" }, false },
        { "ES512", { .kty = "EC", .crv = "P-521" }, true },
        { "EdDSA", { .kty = "OKP", .crv = "Ed25519" }, true },
        { "EdDSA", { .kty = "OKP", .crv = "X25519" }, false },
        { "HS256", { .kty = "oct" }, false },
        { "none", { .kty = "RSA", .bits = 2048 }, false },
        { "", { .kty = "RSA", .bits = 2048 }, false },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (api_jwt_key_fits(row[i].alg, &row[i].key) != row[i].fits)
            fail_msg("row %zu", i);
}

static void a_kind_of_token_is_a_media_type(void **state)
{
    (void)state;
    static const struct {
        const char *wanted, *typ;
        bool fits;
    } row[] = {
        { "", NULL, true },
        { "", "anything", true },
        { "at+jwt", "at+jwt", true },
        { "at+jwt", "AT+JWT", true },
        { "at+jwt", "application/at+jwt", true },
        { "application/at+jwt", "at+jwt", true },
        { "at+jwt", "Application/at+jwt", true },
        { "at+jwt", NULL, false },
        { "at+jwt", "", false },
        { "at+jwt", "JWT", false },
        { "JWT", "at+jwt", false },
        { "at+jwt", "at+jwt2", false },
        { "at+jwt", "at+jw", false },
        { "at+jwt", "application/", false },
        { "at+jwt", "text/at+jwt", false },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (api_jwt_typ_fits(row[i].wanted, row[i].typ) != row[i].fits)
            fail_msg("row %zu", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_are_judged_in_order),
        cmocka_unit_test(every_reason_has_a_label_and_words_that_tell_little),
        cmocka_unit_test(only_key_pairs_are_algorithms),
        cmocka_unit_test(keys_sign_what_they_are_for),
        cmocka_unit_test(a_kind_of_token_is_a_media_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
