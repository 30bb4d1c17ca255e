/* TLS, client certificates, refusals by address, and nothing secret in a log: the real service. */
#include "api_edge_stage.h"

#include "prism/io/clock.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char roles_file[PKI_PATH], ops_file[PKI_PATH], robot_file[PKI_PATH], guest_file[PKI_PATH];
static struct edge_key key;
static const char ROLES[] = "# role  who\n\nadmin     CN=ops laptop  \n"
                            "operator\tURI=spiffe://prod/ns/ci/sa/robot\nviewer claim=viewer\n";

static long get(const char *token, const char *cert, const char *path)
{
    fx.cert = cert;
    const long status = edge_get(token, path);
    fx.cert = NULL;
    return status;
}

static void the_api_is_behind_tls_and_the_probes_are_not(void **state)
{
    (void)state;
    static const char auth[] = "Authorization: Bearer tok-admin\r\n";
    char text[4096];
    assert_int_equal(get("tok-viewer", NULL, "/v1/nodes"), 200);
    assert_int_equal(get(NULL, NULL, "/openapi.json"), 200);
    assert_int_equal(get("tok-admin", NULL, "/metrics"), 404);
    assert_int_equal(it_http(fx.service.port, "GET", "/readyz", NULL, NULL, text, sizeof text),
                     200);
    assert_int_equal(it_http(fx.service.port, "GET", "/v1/nodes", auth, NULL, text, sizeof text),
                     404);
    assert_null(strstr(text, "\"items\""));
    assert_true(it_metric(fx.service.port, "prism_api_tls_certificate_expires_seconds") >
                (double)time(NULL));
}

static void certificates_have_the_roles_of_the_table(void **state)
{
    (void)state;
    assert_int_equal(get(NULL, ops_file, "/v1/audit"), 200);
    assert_int_equal(get(NULL, robot_file, "/v1/nodes"), 200);
    assert_int_equal(get(NULL, robot_file, "/v1/audit"), 403);
    assert_non_null(strstr(edge_r.text, "this certificate has role operator"));
    assert_int_equal(get(NULL, guest_file, "/v1/nodes"), 401); /* good, and nobody */
    assert_int_equal(get(NULL, NULL, "/v1/nodes"), 401);
    /* What is said goes before what is shown. */
    assert_int_equal(get("tok-viewer", ops_file, "/v1/audit"), 403);
    assert_int_equal(get("tok-nobody", ops_file, "/v1/nodes"), 401);
    assert_int_equal(get(edge_token(&key, "alice", "viewer"), guest_file, "/v1/nodes"), 200);

    fx.cert = robot_file;
    api_call(&edge_r, NULL, "PUT", "/v1/rebalance/pins/slot/11", "{}", NULL);
    fx.cert = NULL;
    assert_status(&edge_r, 201);
    assert_string_equal(
        api_sql("SELECT principal FROM audit WHERE resource = 'rebalance/pins/slot/11'"),
        "URI=spiffe://prod/ns/ci/sa/robot");
}

/* As with tokens: a watch lasts no longer than what opened it. */
static void a_watch_ends_with_its_certificate(void **state)
{
    (void)state;
    char brief[PKI_PATH];
    const struct pki_want w = { .cn = "ops laptop", .until_s = 5 };
    pki_issue(edge_ca, &w, pki_path(brief, "brief.pem"), NULL);
    assert_int_equal(get(NULL, brief, "/v1/events?watch=true"), 200);
    assert_non_null(strstr(edge_r.text, "\"why\":\"token\""));
    assert_true(get(NULL, ops_file, "/v1/audit") == 200);
}

static bool robot_reads_audit(void *ctx)
{
    (void)ctx;
    return get(NULL, robot_file, "/v1/audit") == 200;
}
static bool robot_is_nobody(void *ctx)
{
    (void)ctx;
    return get(NULL, robot_file, "/v1/nodes") == 401;
}

static bool ops_reads_audit(void *ctx)
{
    (void)ctx;
    return get(NULL, ops_file, "/v1/audit") == 200;
}
static bool ops_is_nobody(void *ctx)
{
    (void)ctx;
    return get(NULL, ops_file, "/v1/nodes") == 401;
}

static double tables_taken(void)
{
    return it_metric(fx.service.port, "prism_api_roles_reloads_total{result=\"taken\"}");
}
static bool is_taken(void *ctx)
{
    return tables_taken() > *(const double *)ctx;
}

/* Until it is read: who asks meanwhile is refused, and an address only so often. */
static void write_roles(const char *text)
{
    double before = tables_taken();
    pki_write(roles_file, text);
    assert_true(it_await(is_taken, &before, 20000));
}

static void the_table_is_read_again_when_it_changes(void **state)
{
    (void)state;
    write_roles("admin CN=ops laptop\nadmin URI=spiffe://prod/ns/ci/sa/robot\n");
    assert_true(it_await(robot_reads_audit, NULL, 20000));
    write_roles("admin CN=ops laptop\n");
    assert_true(it_await(robot_is_nobody, NULL, 20000));
    assert_int_equal(get(NULL, ops_file, "/v1/audit"), 200);

    /* Whoever takes lines away takes roles away, down to the last one. */
    const char *token = edge_token(&key, "eve", "admin");
    write_roles("");
    assert_true(it_await(ops_is_nobody, NULL, 20000));
    assert_int_equal(get(token, NULL, "/v1/nodes"), 403); /* it names a role, and has none */
    write_roles(ROLES);
    assert_true(it_await(ops_reads_audit, NULL, 20000));
    assert_int_equal(unlink(roles_file), 0);
    assert_true(it_await(ops_is_nobody, NULL, 20000));
    write_roles(ROLES);
    assert_true(it_await(ops_reads_audit, NULL, 20000));
}

static void prismctl_trusts_and_is_trusted(void **state)
{
    (void)state;
    char out[4096], ca[PKI_PATH + 32], line[4 * PKI_PATH], contexts[PKI_PATH],
        with_contexts[PKI_PATH + 32], url[64];
    snprintf(ca, sizeof ca, "PRISM_CA_FILE=%s", edge_ca_file);
    snprintf(url, sizeof url, "https://localhost:%d", fx.tls_port);
    snprintf(with_contexts, sizeof with_contexts, "PRISM_CONTEXTS=%s",
             pki_path(contexts, "contexts.json"));
    const char *const trusting[] = { ca, with_contexts, NULL }, *const alone[] = { with_contexts,
                                                                                   NULL };
    assert_int_equal(api_ctl("viewer", trusting, "node list", out, sizeof out), 0);
    assert_non_null(strstr(out, "n1"));
    assert_int_equal(api_ctl("viewer", alone, "node list", out, sizeof out), 3); /* not trusted */
    snprintf(line, sizeof line, "--ca-file %s node list", edge_ca_file);
    assert_int_equal(api_ctl("viewer", alone, line, out, sizeof out), 0);

    /* By a certificate alone, from options and from a context. */
    snprintf(line, sizeof line, "--url %s --ca-file %s --cert-file %s audit", url, edge_ca_file,
             ops_file);
    assert_int_equal(api_ctl(NULL, alone, line, out, sizeof out), 0);
    snprintf(line, sizeof line,
             "context set prod --url %s --ca-file %s --cert-file %s --key-file %s", url,
             edge_ca_file, ops_file, ops_file);
    assert_int_equal(api_ctl(NULL, alone, line, out, sizeof out), 0);
    assert_int_equal(api_ctl(NULL, alone, "audit", out, sizeof out), 0);
    assert_int_equal(
        api_ctl(NULL, alone, "context set prod --cert-file - --key-file -", out, sizeof out), 0);
    assert_int_equal(api_ctl(NULL, alone, "audit", out, sizeof out), 4);
}

static bool ends_soon(void *ctx)
{
    (void)ctx;
    const double ends_s = it_metric(fx.service.port, "prism_api_tls_certificate_expires_seconds");
    return ends_s > 0 && ends_s < (double)time(NULL) + 3700;
}

/* As a certificate manager does it; a key that does not fit is left alone meanwhile. */
static bool reload_refused(void *ctx)
{
    (void)ctx;
    return it_metric(fx.service.port, "prism_api_tls_reloads_total{result=\"refused\"}") > 0;
}

static void certificates_are_renewed(void **state)
{
    (void)state;
    char second[PKI_PATH], unused[PKI_PATH];
    const struct pki_want w = { .cn = "localhost", .server = true, .until_s = 3600 };
    pki_issue(edge_ca, &w, pki_path(second, "second.pem"), pki_path(unused, "second.key"));
    assert_int_equal(rename(second, edge_cert_file), 0);
    assert_true(it_await(reload_refused, NULL, 30000));
    assert_int_equal(get("tok-viewer", NULL, "/v1/nodes"), 200);
    assert_int_equal(rename(unused, edge_key_file), 0);
    assert_true(it_await(ends_soon, NULL, 20000));
    assert_int_equal(get("tok-viewer", NULL, "/v1/nodes"), 200);
    char *log = edge_log();
    assert_non_null(strstr(log, "\"event\":\"api.certificate_ends\""));
    assert_non_null(strstr(log, "PRISM_API_TLS_KEY_PATH"));
    free(log);
}

/* --- who is refused too often --------------------------------------------------------- */

/* A good token that nobody has seen, while its address has to wait: its signature is not even
 * checked. A second later it would be, so that a slow machine needs several tries. */
static bool is_not_checked_meanwhile(void)
{
    char name[32];
    for (int i = 0; i < 100; i++) {
        while (get(NULL, NULL, "/v1/nodes") != 429)
            assert_int_equal(edge_r.status, 401);
        snprintf(name, sizeof name, "dave-%d", i);
        if (get(edge_token(&key, name, "viewer"), NULL, "/v1/nodes") == 429)
            return true;
        assert_int_equal(edge_r.status, 200);
    }
    return false;
}

static void an_address_that_is_refused_too_often_waits(void **state)
{
    (void)state;
    const char *known = "tok-viewer";
    char *jwt = strdup(edge_token(&key, "carol", "viewer")), token[32];
    int waits = 0;
    assert_int_equal(get(jwt, NULL, "/v1/nodes"), 200);
    for (int i = 0; i < 400 && waits < 5; i++) {
        snprintf(token, sizeof token, "guess-%d", i);
        const long status = get(i % 3 == 0 ? NULL : token, NULL, "/v1/nodes");
        if (status == 429) {
            assert_true(atoi(edge_r.retry_after) >= 1);
            assert_string_equal(edge_r.challenge, "");
            waits++;
        } else
            assert_int_equal(status, 401);
    }
    assert_int_equal(waits, 5);
    /* Those that are known are let in all the same: somebody else may be behind that address. */
    assert_int_equal(get(known, NULL, "/v1/nodes"), 200);
    assert_int_equal(get(jwt, NULL, "/v1/nodes"), 200);
    assert_int_equal(get(NULL, ops_file, "/v1/nodes"), 200);
    assert_true(is_not_checked_meanwhile());
    assert_int_equal(get(NULL, NULL, "/openapi.json"), 200);
    assert_true(it_metric(fx.service.port, "prism_api_denied_total{why=\"address\"}") >= 5);
    free(jwt);
}

/* --- who takes too long ----------------------------------------------------------------- */

static size_t a_byte(char *to, size_t size, size_t n, void *ctx)
{
    (void)size;
    (void)n;
    (void)ctx;
    usleep(200 * 1000); /* what is tested */
    *to = ' ';
    return 1;
}

static bool was_too_slow(void *ctx)
{
    (void)ctx;
    return it_metric(fx.service.port, "prism_api_too_slow_total") >= 1;
}

static void a_body_that_drips_is_not_waited_for(void **state)
{
    (void)state;
    char url[128];
    CURL *c = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Authorization: Bearer tok-admin");
    snprintf(url, sizeof url, "https://localhost:%d/v1/zones", fx.tls_port);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_CAINFO, edge_ca_file);
    curl_easy_setopt(c, CURLOPT_IPRESOLVE, CURL_IPRESOLVE_V4);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, 100L);
    curl_easy_setopt(c, CURLOPT_POST, 1L);
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, 100000L);
    curl_easy_setopt(c, CURLOPT_READFUNCTION, a_byte);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    const CURLcode rc = curl_easy_perform(c);
    if (rc == CURLE_OK || rc == CURLE_OPERATION_TIMEDOUT)
        fail_msg("%s", curl_easy_strerror(rc));
    assert_true(it_await(was_too_slow, NULL, 20000));
    curl_slist_free_all(headers);
    curl_easy_cleanup(c);
}

/* --- secrets --------------------------------------------------------------------------- */

static void keep_line(char *out, size_t cap, const char *path, int line)
{
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    for (int i = 0; i <= line; i++)
        assert_non_null(fgets(out, (int)cap, f));
    out[strcspn(out, "\n")] = '\0';
    fclose(f);
}

/* Whatever happened above, and in every way that a token can be wrong. */
static void nothing_secret_is_in_a_log_or_a_metric(void **state)
{
    (void)state;
    char key_line[128], made[128], *log, *jwt = strdup(edge_token(&key, "mallory", "nobody"));
    static char metrics[256 * 1024];
    keep_line(key_line, sizeof key_line, edge_key_file, 1);
    assert_true(strlen(key_line) >= 32);
    api_call(&edge_r, "admin", "POST", "/v1/tokens", "{\"id\":\"seen\",\"role\":\"viewer\"}", NULL);
    assert_status(&edge_r, 201);
    snprintf(made, sizeof made, "%s", api_str(&edge_r, "token"));
    (void)get(made, NULL, "/v1/audit");
    (void)get(jwt, NULL, "/v1/nodes");
    (void)get("prism_0123456789abcdef-not-a-token", NULL, "/v1/nodes");
    const char *const secrets[] = { key_line,
                                    made,
                                    jwt,
                                    strrchr(jwt, '.') + 1,
                                    "tok-viewer",
                                    "tok-admin",
                                    "tok-expired",
                                    "guess-1",
                                    "prism_0123456789abcdef",
                                    "Bearer tok",
                                    "Bearer ey",
                                    it_env("IT_METADATA_API_NATS_PASSWORD"),
                                    it_env("IT_METADATA_API_DB_PASSWORD") };
    log = edge_log();
    assert_non_null(strstr(log, "\"event\":\"http.request\"")); /* it did log at its loudest */
    assert_int_equal(
        it_http(fx.service.port, "GET", "/metrics", NULL, NULL, metrics, sizeof metrics), 200);
    for (size_t i = 0; i < PR_COUNT(secrets); i++) {
        assert_true(strlen(secrets[i]) >= 7);
        const char *at = strstr(log, secrets[i]);
        if (at != NULL)
            fail_msg("secret %zu is in the log: %.200s", i, at > log + 80 ? at - 80 : log);
        assert_null(strstr(metrics, secrets[i]));
    }
    free(log);
    free(jwt);
}

static int set_up(void **state)
{
    static char text[6][PKI_PATH + 64];
    static const char *settings[] = { text[0],
                                      text[1],
                                      text[2],
                                      text[3],
                                      text[4],
                                      text[5],
                                      "PRISM_API_JWT_ISSUER=" EDGE_ISSUER,
                                      "PRISM_API_JWT_AUDIENCE=" EDGE_AUDIENCE,
                                      "PRISM_API_REQUEST_S=3",
                                      "PRISM_API_REFUSALS_PER_S=1",
                                      "PRISM_API_REFUSALS_BURST_MS=100000",
                                      "PRISM_LOG_LEVEL=debug",
                                      NULL };
    char jwks[PKI_PATH];
    const struct pki_want ops = { .cn = "ops laptop" }, guest = { .cn = "guest" },
                          robot = { .cn = "robot", .uri = "spiffe://prod/ns/ci/sa/robot" };
    const int port = it_free_port();
    edge_pki();
    pki_issue(edge_ca, &ops, pki_path(ops_file, "ops.pem"), NULL);
    pki_issue(edge_ca, &robot, pki_path(robot_file, "robot.pem"), NULL);
    pki_issue(edge_ca, &guest, pki_path(guest_file, "guest.pem"), NULL);
    pki_write(pki_path(roles_file, "roles"), ROLES);
    key = edge_key(R_KEY_TYPE_EC, 256, "one");
    const struct edge_key *set[] = { &key };
    pki_write(pki_path(jwks, "keys.json"), edge_set(set, 1));
    snprintf(text[0], sizeof text[0], "PRISM_API_TLS_CERT_PATH=%s", edge_cert_file);
    snprintf(text[1], sizeof text[1], "PRISM_API_TLS_KEY_PATH=%s", edge_key_file);
    snprintf(text[2], sizeof text[2], "PRISM_API_TLS_PORT=%d", port);
    snprintf(text[3], sizeof text[3], "PRISM_API_TLS_CLIENT_CA_PATH=%s", edge_ca_file);
    snprintf(text[4], sizeof text[4], "PRISM_API_ROLES_PATH=%s", roles_file);
    snprintf(text[5], sizeof text[5], "PRISM_API_JWT_JWKS=%s", jwks);
    api_settings = settings;
    const int rc = api_small_setup(state);
    fx.ca = edge_ca_file;
    fx.tls_port = port;
    return rc;
}

static int tear_down(void **state)
{
    const int rc = api_teardown(state);
    edge_key_free(&key);
    pki_ca_free(edge_ca);
    return rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_api_is_behind_tls_and_the_probes_are_not),
        cmocka_unit_test(certificates_have_the_roles_of_the_table),
        cmocka_unit_test(a_watch_ends_with_its_certificate),
        cmocka_unit_test(the_table_is_read_again_when_it_changes),
        cmocka_unit_test(prismctl_trusts_and_is_trusted),
        cmocka_unit_test(certificates_are_renewed),
        cmocka_unit_test(an_address_that_is_refused_too_often_waits),
        cmocka_unit_test(a_body_that_drips_is_not_waited_for),
        cmocka_unit_test(nothing_secret_is_in_a_log_or_a_metric),
    };
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    api_reply_done(&edge_r);
    return failed;
}
