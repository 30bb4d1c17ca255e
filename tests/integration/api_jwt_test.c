/* JSON Web Tokens of an identity provider: which are believed, and which are not. Where keys come
 * from is api_jwt_keys_test.c. Against a real https server. */
#include "api_edge_stage.h"
#include "api_wire.h"

#include "prism/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static struct edge_key rsa, ec, ed, ps, weak, stranger;

static void every_kind_of_signature_is_known(void **state)
{
    (void)state;
    edge_assert_in(edge_token(&rsa, "alice", "viewer"));
    edge_assert_in(edge_token(&ec, "alice", "viewer"));
    edge_assert_in(edge_token(&ed, "alice", "viewer"));
    edge_assert_in(
        edge_sign(&ps, R_JWA_ALG_PS256, ps.kid, NULL, edge_claims("alice", "viewer", 60)));
    edge_assert_in(edge_sign(&ps, R_JWA_ALG_PS256, ps.kid, "{\"typ\":\"at+jwt\"}",
                             edge_claims("alice", "viewer", 60)));
    /* Twice is as once: it is known by then. */
    const char *again = edge_token(&rsa, "again", "viewer");
    for (int i = 0; i < 3; i++)
        edge_assert_in(again);
}

static void roles_come_from_the_claim(void **state)
{
    (void)state;
    static const struct {
        const char *roles;
        int reads, pins, audit;
    } row[] = {
        { "\"viewer\"", 200, 403, 403 },
        { "\"x operator viewer\"", 200, 200, 403 },
        { "[\"viewer\",\"admin\",7,null]", 200, 200, 200 },
        { "[\"Admin\",\"superuser\"]", 403, 403, 403 },
        { "{\"admin\":true}", 403, 403, 403 },
        { "null", 403, 403, 403 },
    };
    char claims[1024], header[8192];
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        snprintf(claims, sizeof claims,
                 "{\"iss\":\"" EDGE_ISSUER "\",\"aud\":\"" EDGE_AUDIENCE
                 "\",\"sub\":\"bob\",\"exp\":%ld,\"roles\":%s}",
                 (long)time(NULL) + 60, row[i].roles);
        const char *token = edge_sign(&rsa, R_JWA_ALG_RS256, rsa.kid, NULL, claims);
        assert_int_equal(edge_get(token, "/v1/nodes"), row[i].reads);
        assert_int_equal(edge_get(token, "/v1/audit"), row[i].audit);
        snprintf(header, sizeof header, "Authorization: Bearer %s", token);
        api_call(&edge_r, NULL, "PUT", "/v1/rebalance/pins/slot/7?dryRun=true", "{}", header);
        assert_int_equal(edge_r.status, row[i].pins);
    }
    snprintf(header, sizeof header, "Authorization: Bearer %s",
             edge_token(&ec, "bob@example.com", "operator"));
    api_call(&edge_r, NULL, "PUT", "/v1/rebalance/pins/slot/7", "{}", header);
    assert_status(&edge_r, 201);
    assert_string_equal(api_sql("SELECT principal FROM audit WHERE resource = "
                                "'rebalance/pins/slot/7'"),
                        "jwt:bob@example.com");
}

/* One is refused: with the words for everybody, and the reason in the metric alone. */
static void assert_out(const char *token, const char *why, const char *detail)
{
    char name[128];
    snprintf(name, sizeof name, "prism_api_denied_total{why=\"%s\"}", why);
    const double before = it_metric(fx.service.port, name);
    if (edge_get(token, "/v1/nodes") != 401)
        fail_msg("%s: %ld %s\n%.300s", why, edge_r.status, edge_r.text, token);
    assert_string_equal(edge_r.type, "application/problem+json");
    assert_string_equal(edge_r.challenge, "Bearer realm=\"prism\", error=\"invalid_token\"");
    if (strcmp(api_str(&edge_r, "detail"), detail) != 0)
        fail_msg("%s: %s", why, edge_r.text);
    if (it_metric(fx.service.port, name) != before + 1)
        fail_msg("%s was not the reason: %.300s", why, token);
}

#define CLAIMS(iss, aud, rest)                                                                     \
    "{\"iss\":\"" iss "\",\"aud\":" aud ",\"sub\":\"eve\",\"roles\":\"admin\"" rest "}"
#define GOOD  "\"" EDGE_AUDIENCE "\""
#define LATER ",\"exp\":32503680000"
static const char no[] = "this token is not accepted";

static void claims_that_do_not_hold_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *claims, *why, *detail;
    } row[] = {
        { CLAIMS("https://evil.example", GOOD, LATER), "jwt_issuer", no },
        { CLAIMS(EDGE_ISSUER "/", GOOD, LATER), "jwt_issuer", no },
        { "{\"aud\":\"prism\",\"sub\":\"eve\",\"exp\":32503680000}", "jwt_issuer", no },
        { CLAIMS(EDGE_ISSUER, "\"other\"", LATER), "jwt_audience", no },
        { CLAIMS(EDGE_ISSUER, "[\"pris\",\"prism2\"]", LATER), "jwt_audience", no },
        { CLAIMS(EDGE_ISSUER, "{\"prism\":1}", LATER), "jwt_audience", no },
        { CLAIMS(EDGE_ISSUER, GOOD, ""), "jwt_no_expiry", no },
        { CLAIMS(EDGE_ISSUER, GOOD, ",\"exp\":1000000000"), "jwt_expired",
          "this token has expired" },
        { CLAIMS(EDGE_ISSUER, GOOD, ",\"exp\":\"32503680000\""), "jwt_shape", no },
        { CLAIMS(EDGE_ISSUER, GOOD, ",\"exp\":1e300"), "jwt_shape", no },
        { CLAIMS(EDGE_ISSUER, GOOD, ",\"exp\":-1"), "jwt_shape", no },
        { CLAIMS(EDGE_ISSUER, GOOD, LATER ",\"nbf\":32503600000"), "jwt_early",
          "this token does not count yet" },
        { CLAIMS(EDGE_ISSUER, GOOD, LATER ",\"iat\":32503600000"), "jwt_early",
          "this token does not count yet" },
        { CLAIMS(EDGE_ISSUER, GOOD, LATER ",\"iss\":\"" EDGE_ISSUER "\""), "jwt_shape", no },
        { "{\"iss\":\"" EDGE_ISSUER "\",\"aud\":\"prism\",\"exp\":32503680000}", "jwt_subject",
          no },
        { "{\"iss\":\"" EDGE_ISSUER "\",\"aud\":\"prism\",\"exp\":32503680000,\"sub\":\"a\\nb\"}",
          "jwt_subject", no },
        { "[]", "jwt_shape", no },
        { "not json", "jwt_shape", no },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_out(edge_sign(&rsa, R_JWA_ALG_RS256, rsa.kid, NULL, row[i].claims), row[i].why,
                   row[i].detail);
    char claims[1024], sub[200] = "";
    memset(sub, 'a', 128);
    snprintf(claims, sizeof claims, "%s", edge_claims(sub, "viewer", 60));
    assert_out(edge_sign(&rsa, R_JWA_ALG_RS256, rsa.kid, NULL, claims), "jwt_subject", no);
    sub[127] = '\0'; /* the longest that is one */
    edge_assert_in(edge_token(&rsa, sub, "viewer"));
    /* Within what clocks may differ by (30 s), and outside. */
    edge_assert_in(edge_sign(&rsa, R_JWA_ALG_RS256, rsa.kid, NULL, edge_claims("x", "viewer", -5)));
    assert_out(edge_sign(&rsa, R_JWA_ALG_RS256, rsa.kid, NULL, edge_claims("x", "viewer", -31)),
               "jwt_expired", "this token has expired");
}

static void signatures_that_prove_nothing_are_refused(void **state)
{
    (void)state;
    char *claims = strdup(edge_claims("eve", "admin", 600)), token[8192], header[512];

    /* No signature, in every spelling. */
    static const char *const nothing[] = { "none", "None", "NONE", "nOnE", "" };
    for (size_t i = 0; i < PR_COUNT(nothing); i++) {
        snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"%s\"}", nothing[i], rsa.kid);
        assert_out(edge_raw(header, claims, "x"), "jwt_alg", no);
        assert_out(edge_raw(header, claims, NULL), "jwt_shape", no);
    }
    assert_out(edge_raw("{\"kid\":\"rsa\"}", claims, "x"), "jwt_alg", no);
    assert_out(edge_raw("{\"alg\":[\"RS256\"],\"kid\":\"rsa\"}", claims, "x"), "jwt_alg", no);

    /* The public key, which everybody has, as if it were a secret. */
    unsigned char pem[4096];
    size_t pem_n = sizeof pem;
    struct edge_key secret = { .kid = "rsa" };
    assert_int_equal(r_jwk_export_to_pem_der(rsa.pub, R_FORMAT_PEM, pem, &pem_n, 0), RHN_OK);
    assert_int_equal(r_jwk_init(&secret.priv), RHN_OK);
    assert_int_equal(r_jwk_import_from_symmetric_key(secret.priv, pem, pem_n), RHN_OK);
    assert_out(edge_sign(&secret, R_JWA_ALG_HS256, rsa.kid, NULL, claims), "jwt_alg", no);
    edge_key_free(&secret);

    /* A key of somebody else: under its own name, under a good one, and brought along. */
    assert_out(edge_token(&stranger, "eve", "admin"), "jwt_key", no);
    assert_out(edge_sign(&stranger, R_JWA_ALG_RS256, rsa.kid, NULL, claims), "jwt_signature", no);
    json_t *jwk = r_jwk_export_to_json_t(stranger.pub);
    json_t *more = json_pack("{s:o,s:s}", "jwk", jwk, "jku", edge_port_url);
    char *text = json_dumps(more, 0);
    assert_out(edge_sign(&stranger, R_JWA_ALG_RS256, rsa.kid, text, claims), "jwt_signature", no);
    free(text);
    json_decref(more);

    /* A good key, but not for that. */
    assert_out(edge_sign(&rsa, R_JWA_ALG_RS256, ec.kid, NULL, claims), "jwt_key", no);
    assert_out(edge_sign(&rsa, R_JWA_ALG_RS384, rsa.kid, NULL, claims), "jwt_alg",
               no);                                                                  /* setting */
    assert_out(edge_token(&weak, "eve", "admin"), "jwt_key", no);                    /* 1024 bits */
    assert_out(edge_sign(&rsa, R_JWA_ALG_RS256, NULL, NULL, claims), "jwt_key", no); /* which? */
    edge_assert_in(
        edge_sign(&ec, R_JWA_ALG_ES256, NULL, NULL, claims)); /* there is one of its kind */
    assert_out(
        edge_sign(&rsa, R_JWA_ALG_RS256, rsa.kid, "{\"crit\":[\"b64\"],\"b64\":false}", claims),
        "jwt_shape", no);
    assert_out(edge_sign(&rsa, R_JWA_ALG_RS256, rsa.kid, "{\"b64\":true}", claims), "jwt_shape",
               no);
    assert_out(edge_sign(&rsa, R_JWA_ALG_RS256, rsa.kid, "{\"zip\":\"X\"}", claims), "jwt_shape",
               no);

    /* A good token, changed. */
    const char *good =
        edge_sign(&rsa, R_JWA_ALG_RS256, rsa.kid, NULL, edge_claims("eve", "viewer", 600));
    const char *first = strchr(good, '.'), *second = strchr(first + 1, '.');
    const char *other = strchr(edge_raw("x", claims, "x"), '.');
    snprintf(token, sizeof token, "%.*s%.*s%s", (int)(first - good), good,
             (int)(strrchr(other, '.') - other), other, second);
    assert_out(token, "jwt_signature", no);
    edge_assert_in(good);
    free(claims);
}

static void garbage_is_refused(void **state)
{
    (void)state;
    static const char *const row[] = { "a.b.c", "..",   "e30.e30.", "e30.e30.e30",
                                       "=.=.=", "....", ".a.",      "e30=.e30.AA" };
    static char large[9000];
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(edge_get(row[i], "/v1/nodes"), 401);
    /* {"alg":"RS256"} nested as deep as it gets, and too long. */
    memset(large, '[', sizeof large);
    large[6000] = '\0';
    assert_out(edge_raw(large + 3000, "{}", "x"), "jwt_shape", no);
    memset(large, 'a', sizeof large);
    large[10] = large[20] = '.';
    large[sizeof large - 1] = '\0';
    assert_int_equal(edge_get(large, "/v1/nodes"), 401);
    assert_int_equal(edge_get("tok-viewer", "/v1/nodes"), 200); /* ours go on counting */
}

/* The claims as they are, in other letters: the last one has bits that mean nothing. */
static void a_token_is_written_in_one_way_alone(void **state)
{
    (void)state;
    char *token = NULL;
    const char *spare = NULL;
    for (int i = 0; spare == NULL; i++) { /* until the claims are of a length that leaves some */
        char sub[16];
        assert_true(i < 4);
        snprintf(sub, sizeof sub, "%.*s", i + 1, "abcd");
        free(token);
        token = strdup(edge_token(&ec, sub, "viewer"));
        const char *first = strchr(token, '.') + 1;
        spare = strcspn(first, ".") % 4 == 0 ? NULL : first + strcspn(first, ".") - 1;
    }
    edge_assert_in(token);
    token[spare - token]++; /* "Q" and "R" say the same, of what a reader takes */
    assert_out(token, "jwt_shape", no);
    const size_t n = strlen(token);
    token[spare - token]--;
    token[n - 1]++; /* 64 bytes: the signature has some, too */
    assert_out(token, "jwt_shape", no);
    free(token);
}

/* A byte, anywhere, is another one, is gone, or is one too many. */
static void a_token_that_is_damaged_opens_nothing(void **state)
{
    (void)state;
    static const char any[] = "abcXYZ019-_.=+/ {}\"\x7f\x80\xff";
    const uint64_t seed = (uint64_t)time(NULL);
    struct pr_rng rng;
    pr_rng_init(&rng, seed);
    char *good = strdup(edge_token(&ec, "alice", "admin")), token[4096];
    const size_t n = strlen(good);
    edge_assert_in(good);
    for (int i = 0; i < T_ROUNDS(400); i++) {
        const size_t at = (size_t)pr_rng_below(&rng, n);
        const char other = any[pr_rng_below(&rng, sizeof any - 1)];
        const uint64_t how = pr_rng_below(&rng, 3);
        snprintf(token, sizeof token, "%.*s%.*s%s", (int)at, good, how == 1 ? 0 : 1, &other,
                 good + at + (how != 2));
        if (strcmp(token + strspn(token, " "), good) == 0) /* blanks before it are no part of it */
            continue;
        (void)edge_get(token, "/v1/nodes");
        if (edge_r.status != 401 && edge_r.status != 400) /* no header at all */
            fail_msg("seed %llu, round %d: %ld\n%s", (unsigned long long)seed, i, edge_r.status,
                     token);
    }
    free(good);
}

/* Of somebody in many groups: some KiB, in prismctl as anywhere. */
static void prismctl_sends_a_long_token_whole(void **state)
{
    (void)state;
    enum { PAD = 4500 };
    static char claims[PAD + 512], variable[12000], out[65536];
    char url[64], file[PKI_PATH], line[2 * PKI_PATH];
    const size_t n = (size_t)snprintf(claims, sizeof claims,
                                      "{\"iss\":\"" EDGE_ISSUER
                                      "\",\"aud\":\"prism\",\"sub\":\"pad\",\"exp\":%ld,"
                                      "\"roles\":\"viewer\",\"groups\":\"",
                                      (long)time(NULL) + 600);
    memset(claims + n, 'g', PAD);
    snprintf(claims + n + PAD, sizeof claims - n - PAD, "\"}");
    const char *token = edge_sign(&rsa, R_JWA_ALG_RS256, rsa.kid, NULL, claims);
    assert_true(strlen(token) > 6000 && strlen(token) < 8192);
    snprintf(url, sizeof url, "PRISM_API_URL=http://127.0.0.1:%d", fx.service.port);
    snprintf(variable, sizeof variable, "PRISM_TOKEN=%s", token);
    const char *const by_variable[] = { url, variable, NULL }, *const bare[] = { url, NULL };
    assert_int_equal(api_ctl(NULL, by_variable, "node list", out, sizeof out), 0);
    pki_write(pki_path(file, "long-token"), token);
    snprintf(line, sizeof line, "--token-file %s node list", file);
    assert_int_equal(api_ctl(NULL, bare, line, out, sizeof out), 0);
    memset(variable + 12, 'a', 8192);
    variable[12 + 8192] = '\0';
    assert_int_equal(api_ctl(NULL, by_variable, "node list", out, sizeof out), 2);
}

static void a_watch_ends_with_its_token(void **state)
{
    (void)state;
    const char *token = edge_sign(&rsa, R_JWA_ALG_RS256, rsa.kid, NULL,
                                  edge_claims("watcher", "viewer", -27)); /* 3 s, with the skew */
    assert_int_equal(edge_get(token, "/v1/events?watch=true"), 200);
    assert_non_null(strstr(edge_r.text, "event: end"));
    assert_non_null(strstr(edge_r.text, "\"why\":\"token\""));
}

static struct edge_key *const every_key[] = { &rsa, &ps, &weak, &stranger, &ec, &ed };

static int set_up(void **state)
{
    static const char *const more[] = { "PRISM_API_JWT_ALGS=RS256,PS256,ES256,EdDSA", NULL };
    rsa = edge_key(R_KEY_TYPE_RSA, 2048, "rsa");
    ps = edge_key(R_KEY_TYPE_RSA, 3072, "ps");
    weak = edge_key(R_KEY_TYPE_RSA, 1024, "weak");
    stranger = edge_key(R_KEY_TYPE_RSA, 2048, "stranger");
    ec = edge_key(R_KEY_TYPE_EC, 256, "ec");
    ed = edge_key(R_KEY_TYPE_EDDSA, 256, "ed");
    const struct edge_key *const said[] = { &rsa, &ps, &weak, &ec, &ed };
    return edge_jwt_setup(state, said, PR_COUNT(said), more);
}

static int tear_down(void **state)
{
    return edge_jwt_teardown(state, every_key, PR_COUNT(every_key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_signature_is_known),
        cmocka_unit_test(roles_come_from_the_claim),
        cmocka_unit_test(claims_that_do_not_hold_are_refused),
        cmocka_unit_test(signatures_that_prove_nothing_are_refused),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(a_token_is_written_in_one_way_alone),
        cmocka_unit_test(a_token_that_is_damaged_opens_nothing),
        cmocka_unit_test(prismctl_sends_a_long_token_whole),
        cmocka_unit_test(a_watch_ends_with_its_token),
    };
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    api_reply_done(&edge_r);
    return failed;
}
