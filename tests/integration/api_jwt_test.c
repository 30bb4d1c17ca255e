/* JSON Web Tokens of an identity provider: which are believed, which are not, and where keys come
 * from. Against a real https server. */
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

static struct edge_key rsa, ec, ed, ps, weak, stranger, next_key, late;

static void assert_in(const char *token)
{
    if (edge_get(token, "/v1/nodes") != 200)
        fail_msg("%ld: %s\n%s", edge_r.status, edge_r.text, token);
}

static void every_kind_of_signature_is_known(void **state)
{
    (void)state;
    assert_in(edge_token(&rsa, "alice", "viewer"));
    assert_in(edge_token(&ec, "alice", "viewer"));
    assert_in(edge_token(&ed, "alice", "viewer"));
    assert_in(edge_sign(&ps, R_JWA_ALG_PS256, ps.kid, NULL, edge_claims("alice", "viewer", 60)));
    assert_in(edge_sign(&ps, R_JWA_ALG_PS256, ps.kid, "{\"typ\":\"at+jwt\"}",
                        edge_claims("alice", "viewer", 60)));
    /* Twice is as once: it is known by then. */
    const char *again = edge_token(&rsa, "again", "viewer");
    for (int i = 0; i < 3; i++)
        assert_in(again);
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
    const double before = edge_metric(name);
    if (edge_get(token, "/v1/nodes") != 401)
        fail_msg("%s: %ld %s\n%.300s", why, edge_r.status, edge_r.text, token);
    assert_string_equal(edge_r.type, "application/problem+json");
    assert_string_equal(edge_r.challenge, "Bearer realm=\"prism\", error=\"invalid_token\"");
    if (strcmp(api_str(&edge_r, "detail"), detail) != 0)
        fail_msg("%s: %s", why, edge_r.text);
    if (edge_metric(name) != before + 1)
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
    assert_in(edge_token(&rsa, sub, "viewer"));
    /* Within what clocks may differ by (30 s), and outside. */
    assert_in(edge_sign(&rsa, R_JWA_ALG_RS256, rsa.kid, NULL, edge_claims("x", "viewer", -5)));
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
    assert_in(edge_sign(&ec, R_JWA_ALG_ES256, NULL, NULL, claims)); /* there is one of its kind */
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
    assert_in(good);
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
    assert_in(token);
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
    assert_in(good);
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

/* --- where keys come from ------------------------------------------------------------- */

static bool is_out(void *token)
{
    return edge_get(token, "/v1/nodes") == 401;
}
static bool is_in(void *token)
{
    return edge_get(token, "/v1/nodes") == 200;
}

static void keys_are_rotated_without_waiting(void **state)
{
    (void)state;
    const struct edge_key *both[] = { &rsa, &next_key };
    char *old = strdup(edge_token(&rsa, "alice", "viewer"));
    char *fresh = strdup(edge_token(&next_key, "alice", "viewer"));
    edge_idp_says(200, edge_set(both, 2));
    assert_true(it_await(is_in, fresh, 20000)); /* asked for, not waited for */
    assert_in(old);
    edge_idp_says(200, edge_set(&both[1], 1));
    assert_true(it_await(is_out, old, 30000)); /* with the next look: refresh, 2 s */
    assert_in(fresh);
    free(old);
    free(fresh);
}

static void strangers_do_not_make_us_ask_more_often(void **state)
{
    (void)state;
    const int before = edge_asked;
    const time_t from = time(NULL);
    for (int i = 0; i < 60; i++) {
        char kid[32];
        snprintf(kid, sizeof kid, "made-up-%d", i);
        (void)edge_get(
            edge_sign(&stranger, R_JWA_ALG_RS256, kid, NULL, edge_claims("eve", "admin", 60)),
            "/v1/nodes");
        assert_int_equal(edge_r.status, 401);
    }
    const int most = (int)(time(NULL) - from) + 3; /* one a second, retry */
    if (edge_asked - before > most)
        fail_msg("asked %d times, at most %d are due", edge_asked - before, most);
}

static bool failing(void *ctx)
{
    const double *before = ctx;
    return edge_metric("prism_api_jwks_reads_total{result=\"failed\"}") > *before;
}

static void keys_stay_while_they_cannot_be_read(void **state)
{
    (void)state;
    static const char *const wrong[] = { "",
                                         "{",
                                         "{\"keys\":[]}",
                                         "{\"keys\":7}",
                                         "[]",
                                         "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}" };
    char *known = strdup(edge_token(&next_key, "alice", "viewer"));
    char *new_one = strdup(edge_token(&late, "alice", "viewer"));
    const struct edge_key *with_late[] = { &next_key, &late };
    double before;
    for (size_t i = 0; i < PR_COUNT(wrong); i++) {
        before = edge_metric("prism_api_jwks_reads_total{result=\"failed\"}");
        edge_idp_says(i % 2 == 0 ? 200 : 500, wrong[i]);
        assert_true(it_await(failing, &before, 20000));
        assert_in(edge_token(&next_key, "alice", "viewer"));
    }
    edge_idp_down();
    before = edge_metric("prism_api_jwks_reads_total{result=\"failed\"}");
    assert_true(it_await(failing, &before, 20000));
    assert_in(known);
    assert_in(edge_token(&next_key, "bob", "viewer")); /* one that was never seen */
    assert_true(is_out(new_one));
    edge_idp_up(edge_set(with_late, 2));
    assert_true(it_await(is_in, new_one, 30000));
    free(known);
    free(new_one);
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
    const char *token = edge_sign(&late, R_JWA_ALG_RS256, late.kid, NULL, claims);
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
    const char *token = edge_sign(&late, R_JWA_ALG_RS256, late.kid, NULL,
                                  edge_claims("watcher", "viewer", -27)); /* 3 s, with the skew */
    assert_int_equal(edge_get(token, "/v1/events?watch=true"), 200);
    assert_non_null(strstr(edge_r.text, "event: end"));
    assert_non_null(strstr(edge_r.text, "\"why\":\"token\""));
}

/* Withdrawn is withdrawn: also for who has been let in, however long its token would last. */
static void a_watch_ends_with_its_key(void **state)
{
    (void)state;
    static char text[1 << 20];
    char request[4096];
    const struct edge_key *without[] = { &late };
    struct wire_answer a;
    const int fd = wire_connect(fx.service.port);
    const struct timeval most = { .tv_sec = 60 };
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most), 0);
    snprintf(request, sizeof request,
             "GET /v1/events?watch=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n",
             edge_token(&next_key, "watcher", "viewer"));
    assert_true(wire_send(fd, request, strlen(request)));
    assert_true(wire_read(fd, &a, false, 30000));
    assert_int_equal(a.status, 200);
    wire_done(&a);
    edge_idp_up(edge_set(without, 1));
    size_t n = 0;
    for (ssize_t got; strstr(text, "event: end") == NULL || strstr(text, "why") == NULL;
         n += (size_t)got) {
        assert_true((got = recv(fd, text + n, sizeof text - 1 - n, 0)) > 0);
        text[n + (size_t)got] = '\0';
    }
    assert_non_null(strstr(text, "\"why\":\"token\""));
    close(fd);
}

static bool table_refused(void *ctx)
{
    (void)ctx;
    return edge_metric("prism_api_roles_reloads_total{result=\"refused\"}") == 1;
}

static void nobody_is_let_in_before_keys_were_read(void **state)
{
    (void)state;
    const char *const settings[] = { "PRISM_API_JWT_ISSUER=" EDGE_ISSUER,
                                     "PRISM_API_JWT_AUDIENCE=" EDGE_AUDIENCE,
                                     NULL,
                                     NULL,
                                     "PRISM_API_JWT_RETRY_S=1",
                                     NULL };
    const char *with[PR_COUNT(settings)];
    char jwks[128], ca[PKI_PATH + 64];
    struct it_service first = fx.service;
    char *token = strdup(edge_token(&late, "alice", "viewer"));
    memcpy(with, settings, sizeof with);
    snprintf(jwks, sizeof jwks, "PRISM_API_JWT_JWKS=%s", edge_port_url);
    snprintf(ca, sizeof ca, "PRISM_API_JWT_CA_PATH=%s", edge_ca_file);
    with[2] = jwks;
    with[3] = ca;
    edge_idp_down();
    it_service(&fx.service, "metadata-api", fx.uri, with); /* ready: our own tokens need no keys */
    assert_int_equal(edge_get("tok-viewer", "/v1/nodes"), 200);
    assert_int_equal(edge_get(token, "/v1/nodes"), 503);
    assert_string_equal(edge_r.retry_after, "5");
    const struct edge_key *set[] = { &late };
    edge_idp_up(edge_set(set, 1));
    assert_true(it_await(is_in, token, 30000));

    /* Of a server that another CA vouches for, keys are not taken. */
    const char *without_ca[] = { settings[0], settings[1], jwks, settings[4], NULL };
    assert_int_equal(it_stop(fx.service.pid), 0);
    it_service(&fx.service, "metadata-api", fx.uri, without_ca);
    assert_int_equal(edge_get(token, "/v1/nodes"), 503);

    /* From a file, which changes; with a table of roles, which does too. */
    char file[PKI_PATH], roles[PKI_PATH], file_setting[PKI_PATH + 64], roles_setting[PKI_PATH + 64];
    pki_write(pki_path(file, "jwks.json"), edge_set(set, 1));
    pki_write(pki_path(roles, "roles"), "# who\nviewer claim=readers\noperator  claim=sre\n");
    snprintf(file_setting, sizeof file_setting, "PRISM_API_JWT_JWKS=%s", file);
    snprintf(roles_setting, sizeof roles_setting, "PRISM_API_ROLES_PATH=%s", roles);
    const char *of_file[] = { settings[0],
                              settings[1],
                              file_setting,
                              roles_setting,
                              "PRISM_API_JWT_ROLE_CLAIM=realm.roles",
                              settings[4],
                              NULL };
    assert_int_equal(it_stop(fx.service.pid), 0);
    it_service(&fx.service, "metadata-api", fx.uri, of_file);
    assert_int_equal(edge_get(token, "/v1/nodes"), 403); /* no such claim */
    char claims[512];
    snprintf(claims, sizeof claims,
             "{\"iss\":\"" EDGE_ISSUER "\",\"aud\":\"prism\",\"sub\":\"a\",\"exp\":%ld,"
             "\"realm\":{\"roles\":[\"readers\",\"admin\"]}}",
             (long)time(NULL) + 600);
    char *by_path = strdup(edge_sign(&late, R_JWA_ALG_RS256, late.kid, NULL, claims));
    assert_in(by_path);
    assert_int_equal(edge_get(by_path, "/v1/audit"), 403); /* the table knows no claim "admin" */
    pki_write(roles, "admin claim=readers\n");
    for (int i = 0; edge_get(by_path, "/v1/audit") != 200; i++) {
        assert_true(i < 300);
        usleep(100 * 1000);
    }
    pki_write(roles, "chief claim=readers\n"); /* no role: what was there stays */
    const struct edge_key *other[] = { &stranger };
    pki_write(file, edge_set(other, 1));
    assert_true(it_await(is_out, by_path, 30000));
    assert_true(it_await(table_refused, NULL, 20000));
    free(by_path);
    free(token);
    assert_int_equal(it_stop(fx.service.pid), 0);
    fx.service = first;
}

static int set_up(void **state)
{
    static char jwks[128], ca[PKI_PATH + 64];
    static const char *settings[] = { jwks,
                                      ca,
                                      "PRISM_API_JWT_ISSUER=" EDGE_ISSUER,
                                      "PRISM_API_JWT_AUDIENCE=" EDGE_AUDIENCE,
                                      "PRISM_API_JWT_ALGS=RS256,PS256,ES256,EdDSA",
                                      "PRISM_API_JWT_REFRESH_S=2",
                                      "PRISM_API_JWT_RETRY_S=1",
                                      "PRISM_API_REFUSALS_PER_S=1000000",
                                      "PRISM_API_BOOKMARK_MS=200",
                                      NULL };
    rsa = edge_key(R_KEY_TYPE_RSA, 2048, "rsa");
    ps = edge_key(R_KEY_TYPE_RSA, 3072, "ps");
    weak = edge_key(R_KEY_TYPE_RSA, 1024, "weak");
    stranger = edge_key(R_KEY_TYPE_RSA, 2048, "stranger");
    next_key = edge_key(R_KEY_TYPE_RSA, 2048, "next");
    late = edge_key(R_KEY_TYPE_RSA, 2048, "late");
    ec = edge_key(R_KEY_TYPE_EC, 256, "ec");
    ed = edge_key(R_KEY_TYPE_EDDSA, 256, "ed");
    const struct edge_key *all[] = { &rsa, &ps, &weak, &ec, &ed };
    edge_idp_up(edge_set(all, PR_COUNT(all)));
    snprintf(jwks, sizeof jwks, "PRISM_API_JWT_JWKS=%s", edge_port_url);
    snprintf(ca, sizeof ca, "PRISM_API_JWT_CA_PATH=%s", edge_ca_file);
    api_settings = settings;
    return api_small_setup(state);
}

static int tear_down(void **state)
{
    struct edge_key *all[] = { &rsa, &ps, &weak, &stranger, &next_key, &late, &ec, &ed };
    const int rc = api_teardown(state);
    edge_idp_down();
    for (size_t i = 0; i < PR_COUNT(all); i++)
        edge_key_free(all[i]);
    pki_ca_free(edge_ca);
    return rc;
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
        cmocka_unit_test(keys_are_rotated_without_waiting),
        cmocka_unit_test(strangers_do_not_make_us_ask_more_often),
        cmocka_unit_test(keys_stay_while_they_cannot_be_read),
        cmocka_unit_test(prismctl_sends_a_long_token_whole),
        cmocka_unit_test(a_watch_ends_with_its_token),
        cmocka_unit_test(a_watch_ends_with_its_key),
        cmocka_unit_test(nobody_is_let_in_before_keys_were_read),
    };
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    api_reply_done(&edge_r);
    return failed;
}
