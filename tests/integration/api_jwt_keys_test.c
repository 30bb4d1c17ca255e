/* The keys of an identity provider: read, rotated, withdrawn, away for long; what was let in by
 * them follows. Which tokens are believed is api_jwt_test.c. Against a real https server. */
#include "api_edge_stage.h"
#include "api_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static struct edge_key rsa, stranger, next_key, late;

static bool is_out(void *token)
{
    return edge_get(token, "/v1/nodes") == 401;
}
static bool is_in(void *token)
{
    return edge_get(token, "/v1/nodes") == 200;
}
static bool sees_the_audit(void *token)
{
    return edge_get(token, "/v1/audit") == 200;
}

static void keys_are_rotated_without_waiting(void **state)
{
    (void)state;
    const struct edge_key *both[] = { &rsa, &next_key };
    char *old = strdup(edge_token(&rsa, "alice", "viewer"));
    char *fresh = strdup(edge_token(&next_key, "alice", "viewer"));
    edge_idp_says(200, edge_set(both, 2));
    assert_true(it_await(is_in, fresh, 20000)); /* asked for, not waited for */
    edge_assert_in(old);
    edge_idp_says(200, edge_set(&both[1], 1));
    assert_true(it_await(is_out, old, 30000)); /* with the next look: refresh, 2 s */
    edge_assert_in(fresh);
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
    return it_metric(fx.service.port, "prism_api_jwks_reads_total{result=\"failed\"}") > *before;
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
        before = it_metric(fx.service.port, "prism_api_jwks_reads_total{result=\"failed\"}");
        edge_idp_says(i % 2 == 0 ? 200 : 500, wrong[i]);
        assert_true(it_await(failing, &before, 20000));
        edge_assert_in(edge_token(&next_key, "alice", "viewer"));
    }
    edge_idp_down();
    before = it_metric(fx.service.port, "prism_api_jwks_reads_total{result=\"failed\"}");
    assert_true(it_await(failing, &before, 20000));
    edge_assert_in(known);
    edge_assert_in(edge_token(&next_key, "bob", "viewer")); /* one that was never seen */
    assert_true(is_out(new_one));
    edge_idp_up(edge_set(with_late, 2));
    assert_true(it_await(is_in, new_one, 30000));
    free(known);
    free(new_one);
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
    return it_metric(fx.service.port, "prism_api_roles_reloads_total{result=\"refused\"}") == 1;
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
    edge_assert_in(by_path);
    assert_int_equal(edge_get(by_path, "/v1/audit"), 403); /* the table knows no claim "admin" */
    pki_write(roles, "admin claim=readers\n");
    assert_true(it_await(sees_the_audit, by_path, 30000));
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

static bool has_no_keys(void *token)
{
    return edge_get(token, "/v1/nodes") == 503;
}

static bool none_are_counted(void *ctx)
{
    (void)ctx;
    return it_metric(fx.service.port, "prism_api_jwks_keys") == 0;
}

static double metric_of_typ(void)
{
    return it_metric(fx.service.port, "prism_api_denied_total{why=\"jwt_typ\"}");
}

/* What was withdrawn while the provider could not be reached is not heard of, so keys are not
 * believed for ever. And with a kind of token that is wanted, others are none. */
static void keys_that_are_too_old_count_no_more(void **state)
{
    (void)state;
    char jwks[128], ca[PKI_PATH + 64];
    const char *const settings[] = { "PRISM_API_JWT_ISSUER=" EDGE_ISSUER,
                                     "PRISM_API_JWT_AUDIENCE=" EDGE_AUDIENCE,
                                     "PRISM_API_JWT_REFRESH_S=1",
                                     "PRISM_API_JWT_RETRY_S=1",
                                     "PRISM_API_JWT_KEYS_GRACE_S=4",
                                     "PRISM_API_JWT_TYP=at+jwt",
                                     jwks,
                                     ca,
                                     NULL };
    const struct edge_key *set[] = { &late };
    struct it_service first = fx.service;
    snprintf(jwks, sizeof jwks, "PRISM_API_JWT_JWKS=%s", edge_port_url);
    snprintf(ca, sizeof ca, "PRISM_API_JWT_CA_PATH=%s", edge_ca_file);
    edge_idp_up(edge_set(set, 1));
    it_service(&fx.service, "metadata-api", fx.uri, settings);
    char *good = strdup(edge_sign(&late, R_JWA_ALG_RS256, late.kid, "{\"typ\":\"at+JWT\"}",
                                  edge_claims("alice", "viewer", 600)));
    assert_true(it_await(is_in, good, 30000));
    const double before = metric_of_typ();
    assert_int_equal(edge_get(edge_token(&late, "alice", "viewer"), "/v1/nodes"), 401);
    assert_true(metric_of_typ() == before + 1);

    edge_idp_down();
    assert_true(it_await(has_no_keys, good, 60000)); /* it was known, and was let in */
    assert_true(it_await(none_are_counted, NULL, 30000));
    assert_int_equal(edge_get("tok-viewer", "/v1/nodes"), 200);

    /* What cannot be judged may be garbage, and is not taken without limit. */
    for (int i = 0; edge_get(good, "/v1/nodes") != 429; i++) {
        assert_int_equal(edge_r.status, 503);
        assert_true(i < 5000);
    }
    assert_int_equal(edge_get("tok-viewer", "/v1/nodes"), 200);
    edge_idp_up(edge_set(set, 1));
    assert_true(it_await(is_in, good, 60000));
    edge_idp_hangs(); /* each try takes longer than the time between two */
    assert_true(it_await(has_no_keys, good, 60000));
    edge_idp_up(edge_set(set, 1));
    assert_true(it_await(is_in, good, 60000));
    free(good);
    assert_int_equal(it_stop(fx.service.pid), 0);
    fx.service = first;
}

static struct edge_key *const every_key[] = { &rsa, &stranger, &next_key, &late };

static int set_up(void **state)
{
    static const char *const more[] = { "PRISM_API_JWT_REFRESH_S=2", "PRISM_API_JWT_RETRY_S=1",
                                        NULL };
    rsa = edge_key(R_KEY_TYPE_RSA, 2048, "rsa");
    stranger = edge_key(R_KEY_TYPE_RSA, 2048, "stranger");
    next_key = edge_key(R_KEY_TYPE_RSA, 2048, "next");
    late = edge_key(R_KEY_TYPE_RSA, 2048, "late");
    const struct edge_key *const said[] = { &rsa };
    return edge_jwt_setup(state, said, PR_COUNT(said), more);
}

static int tear_down(void **state)
{
    return edge_jwt_teardown(state, every_key, PR_COUNT(every_key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_rotated_without_waiting),
        cmocka_unit_test(strangers_do_not_make_us_ask_more_often),
        cmocka_unit_test(keys_stay_while_they_cannot_be_read),
        cmocka_unit_test(a_watch_ends_with_its_key),
        cmocka_unit_test(nobody_is_let_in_before_keys_were_read),
        cmocka_unit_test(keys_that_are_too_old_count_no_more),
    };
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    api_reply_done(&edge_r);
    return failed;
}
