/* TLS of the HTTP server: who is let in, what is refused, certificates that are replaced. */
#include "http_stage.h"
#include "pki.h"

#include "prism/io/clock.h"
#include "prism/io/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const char priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
static struct pki_ca *ca, *other;
static char ca_file[PKI_PATH], cert_file[PKI_PATH], key_file[PKI_PATH], client_file[PKI_PATH],
    stranger_file[PKI_PATH], late_file[PKI_PATH], server_file[PKI_PATH], other_file[PKI_PATH];

static struct pr_tls_options options(void)
{
    return (struct pr_tls_options){ .cert = { "CERT", cert_file },
                                    .key = { "KEY", key_file },
                                    .client_ca = { "CA", "" },
                                    .priorities = priorities,
                                    .priorities_setting = "PRIORITIES" };
}

static struct pr_tls *opened(const struct pr_tls_options *o)
{
    struct pr_tls *t = NULL;
    struct pr_err err;
    assert_ok(pr_tls_open(&t, o, &err), &err);
    return t;
}

static struct pr_http *serve(struct pr_tls *t)
{
    struct pr_http_options o = http_options();
    o.tls = t;
    return http_start(o);
}

struct client {
    const char *cert; /* NULL: none */
    long versions;    /* CURL_SSLVERSION_...; 0: as they are */
    CURL *curl;       /* kept; NULL: a connection of its own */
    char serial[128]; /* of the server's certificate */
    char body[256], head[2048];
    long status, connects;
};

static size_t append(char *p, size_t size, size_t n, void *to)
{
    const size_t have = strlen(to);
    (void)snprintf((char *)to + have, 256 - (have < 256 ? have : 256), "%.*s", (int)(size * n), p);
    return size * n;
}

static size_t append_head(char *p, size_t size, size_t n, void *to)
{
    const size_t have = strlen(to);
    (void)snprintf((char *)to + have, 2048 - have, "%.*s", (int)(size * n), p);
    return size * n;
}

static CURLcode go(const struct pr_http *h, struct client *k, const char *path)
{
    char url[256];
    CURL *c = k->curl != NULL ? k->curl : curl_easy_init();
    struct curl_certinfo *info = NULL;
    (void)snprintf(url, sizeof url, "https://localhost:%d%s", pr_http_port(h), path);
    k->body[0] = k->head[0] = k->serial[0] = '\0';
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_CAINFO, ca_file);
    curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(c, CURLOPT_CERTINFO, 1L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_IPRESOLVE, CURL_IPRESOLVE_V4);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(c, CURLOPT_SSLVERSION, k->versions);
    curl_easy_setopt(c, CURLOPT_SSLCERT, k->cert);
    curl_easy_setopt(c, CURLOPT_SSLKEY, k->cert);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, k->body);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, append_head);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, k->head);
    const CURLcode rc = curl_easy_perform(c);
    k->status = 0;
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &k->status);
    curl_easy_getinfo(c, CURLINFO_NUM_CONNECTS, &k->connects);
    if (rc == CURLE_OK && curl_easy_getinfo(c, CURLINFO_CERTINFO, &info) == CURLE_OK &&
        info->num_of_certs > 0)
        for (struct curl_slist *s = info->certinfo[0]; s != NULL; s = s->next)
            if (strncmp(s->data, "Serial Number:", 14) == 0)
                (void)snprintf(k->serial, sizeof k->serial, "%s", s->data);
    if (k->curl == NULL)
        curl_easy_cleanup(c);
    return rc;
}

static void assert_let_in(const struct pr_http *h, struct client *k)
{
    const CURLcode rc = go(h, k, "/v1/show/1");
    if (rc != CURLE_OK || k->status != 200)
        fail_msg("%s, status %ld", curl_easy_strerror(rc), k->status);
}

static void assert_shut_out(const struct pr_http *h, struct client *k)
{
    const CURLcode rc = go(h, k, "/v1/show/1");
    if (rc == CURLE_OK)
        fail_msg("let in: %ld %s", k->status, k->body);
}

static void what_is_served_over_tls_is_only_served_so(void **state)
{
    (void)state;
    const struct pr_tls_options o = options();
    struct pr_tls *t = opened(&o);
    struct pr_http *h = serve(t);
    struct client k = { 0 };
    assert_let_in(h, &k);
    assert_non_null(strstr(k.body, "GET /v1/show/1 id=1"));
    assert_non_null(strstr(k.head, "Strict-Transport-Security: max-age=31536000"));
    k.versions = CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_2;
    assert_let_in(h, &k);
    k.versions = CURL_SSLVERSION_TLSv1_3 | CURL_SSLVERSION_MAX_TLSv1_3;
    assert_let_in(h, &k);
    k.versions = CURL_SSLVERSION_TLSv1_0 | CURL_SSLVERSION_MAX_TLSv1_1;
    assert_shut_out(h, &k);
    static const char plain[] = "GET /v1/show/1 HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_null(strstr(http_raw(h, plain, sizeof plain - 1), "200"));
    k.versions = 0;
    assert_let_in(h, &k); /* and nobody took harm */
    pr_http_close(h);
    pr_tls_close(t);

    h = http_start(http_options()); /* without TLS nobody is told to use it */
    struct http_reply r = http_get(h, "/v1/show/1");
    assert_string_equal(http_header(&r, "Strict-Transport-Security"), "");
    http_forget(&r);
    pr_http_close(h);
}

static void what_does_not_fit_is_refused_by_name(void **state)
{
    (void)state;
    static char nothing[PKI_PATH], empty[PKI_PATH], garbage[PKI_PATH], foreign[PKI_PATH];
    pki_path(nothing, "nothing.pem");
    pki_write(pki_path(empty, "empty.pem"), "");
    pki_write(pki_path(garbage, "garbage.pem"), "-----BEGIN CERTIFICATE-----\nx\n");
    const struct pki_want w = { .cn = "x", .server = true };
    char unused[PKI_PATH];
    pki_issue(ca, &w, pki_path(unused, "unused.pem"), pki_path(foreign, "foreign.key"));
    const struct {
        const char *cert, *key, *client_ca, *priorities, *says[2];
    } row[] = {
        { nothing, key_file, "", priorities, { "CERT: ", "nothing.pem" } },
        { empty, key_file, "", priorities, { "CERT: ", "is empty" } },
        { garbage, key_file, "", priorities, { "CERT: ", "no PEM certificates" } },
        { pki_dir(), key_file, "", priorities, { "CERT: ", pki_dir() } },
        { cert_file, nothing, "", priorities, { "KEY: ", "nothing.pem" } },
        { cert_file, garbage, "", priorities, { "KEY: ", "garbage.pem" } },
        { cert_file, foreign, "", priorities, { "foreign.key is not the key of", "(CERT)" } },
        { cert_file, key_file, nothing, priorities, { "CA: ", "nothing.pem" } },
        { cert_file, key_file, garbage, priorities, { "CA: ", "garbage.pem" } },
        { cert_file, key_file, "", "NORMAL:+NONSENSE", { "PRIORITIES: ", "NONSENSE" } },
        { cert_file, key_file, "", "NORMAL", { "PRIORITIES: ", "TLS 1.2 is the least" } },
        { cert_file, key_file, "", "NONE", { "PRIORITIES: ", "NONE" } },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_tls_options o = options();
        struct pr_tls *t = NULL;
        struct pr_err err = { 0 };
        o.cert.path = row[i].cert;
        o.key.path = row[i].key;
        o.client_ca.path = row[i].client_ca;
        o.priorities = row[i].priorities;
        assert_int_equal(pr_tls_open(&t, &o, &err), PR_EINVAL);
        for (size_t k = 0; k < 2; k++)
            if (strstr(err.text, row[i].says[k]) == NULL)
                fail_msg("%zu: \"%s\" does not say \"%s\"", i, err.text, row[i].says[k]);
    }
}

/* Who is connected goes on; who comes sees the new certificate. */
static void certificates_are_replaced_under_way(void **state)
{
    (void)state;
    const struct pr_tls_options o = options();
    const struct pki_want w = { .cn = "second", .server = true, .until_s = 7200 };
    struct pr_tls *t = opened(&o);
    struct pr_http *h = serve(t);
    struct client stays = { .curl = curl_easy_init() }, comes = { 0 };
    struct pr_err err = { 0 };
    char first[128], key_of_another[PKI_PATH];
    bool fresh = true;
    assert_let_in(h, &stays);
    assert_int_equal(stays.connects, 1);
    (void)snprintf(first, sizeof first, "%s", stays.serial);
    const int64_t first_ends_ms = pr_tls_expires_ms(t);

    assert_ok(pr_tls_look(t, &fresh, &err), &err);
    assert_false(fresh);
    /* The certificate is there, its key is not yet: what was there goes on. */
    pki_issue(ca, &w, cert_file, pki_path(key_of_another, "second.key"));
    assert_int_equal(pr_tls_look(t, &fresh, &err), PR_EINVAL);
    assert_false(fresh);
    assert_non_null(strstr(err.text, "KEY: "));
    assert_ok(pr_tls_look(t, &fresh, &err), &err); /* told once */
    assert_let_in(h, &comes);
    assert_string_equal(comes.serial, first);
    assert_int_equal(pr_tls_expires_ms(t), first_ends_ms);

    assert_int_equal(rename(key_of_another, key_file), 0);
    assert_ok(pr_tls_look(t, &fresh, &err), &err);
    assert_true(fresh);
    assert_true(pr_tls_expires_ms(t) < first_ends_ms);
    assert_true(pr_tls_expires_ms(t) > pr_now_ms() + 3600 * 1000);
    assert_let_in(h, &comes);
    assert_string_not_equal(comes.serial, first);
    assert_let_in(h, &stays);
    assert_int_equal(stays.connects, 0); /* the same connection */
    curl_easy_cleanup(stays.curl);

    assert_int_equal(unlink(cert_file), 0); /* gone for a moment */
    assert_int_equal(pr_tls_look(t, &fresh, &err), PR_EINVAL);
    assert_let_in(h, &comes);
    pr_http_close(h);
    pr_tls_close(t);
    pki_issue(ca, &w, cert_file, key_file);
}

/* A secret of Kubernetes: links to links to files, all exchanged by one rename. */
static void links_are_followed(void **state)
{
    (void)state;
    const struct pki_want w = { .cn = "linked", .server = true };
    char one[PKI_PATH], two[PKI_PATH], data[PKI_PATH], fresh_link[PKI_PATH], at[2 * PKI_PATH],
        linked_cert[PKI_PATH], linked_key[PKI_PATH];
    const char *const version[] = { pki_path(one, "..1"), pki_path(two, "..2") };
    struct pr_err err = { 0 };
    bool fresh = false;
    for (int i = 0; i < 2; i++) {
        char cert[PKI_PATH], key[PKI_PATH];
        assert_int_equal(mkdir(version[i], 0700), 0);
        assert_true(snprintf(cert, sizeof cert, "%.400s/tls.crt", version[i]) > 0);
        assert_true(snprintf(key, sizeof key, "%.400s/tls.key", version[i]) > 0);
        pki_issue(ca, &w, cert, key);
    }
    pki_path(data, "..data");
    pki_path(fresh_link, "..data_tmp");
    assert_int_equal(symlink(one, data), 0);
    (void)snprintf(at, sizeof at, "%s/tls.crt", data);
    assert_int_equal(symlink(at, pki_path(linked_cert, "linked.crt")), 0);
    (void)snprintf(at, sizeof at, "%s/tls.key", data);
    assert_int_equal(symlink(at, pki_path(linked_key, "linked.key")), 0);

    struct pr_tls_options o = options();
    o.cert.path = linked_cert;
    o.key.path = linked_key;
    struct pr_tls *t = opened(&o);
    struct pr_http *h = serve(t);
    struct client k = { 0 };
    char first[128];
    assert_let_in(h, &k);
    (void)snprintf(first, sizeof first, "%s", k.serial);
    assert_int_equal(symlink(two, fresh_link), 0);
    assert_int_equal(rename(fresh_link, data), 0);
    assert_ok(pr_tls_look(t, &fresh, &err), &err);
    assert_true(fresh);
    assert_let_in(h, &k);
    assert_string_not_equal(k.serial, first);
    pr_http_close(h);
    pr_tls_close(t);
}

/* Files that came while none could be opened are there afterwards, without another change. */
static void what_could_not_be_read_is_tried_again(void **state)
{
    (void)state;
    static char cert[PKI_PATH], key[PKI_PATH];
    const struct pki_want w = { .cn = "again", .server = true };
    struct pr_tls_options o = options();
    struct rlimit files, none_more;
    struct pr_err err = { 0 };
    bool fresh = false;
    pki_issue(ca, &w, pki_path(cert, "again.pem"), pki_path(key, "again.key"));
    o.cert.path = cert;
    o.key.path = key;
    struct pr_tls *t = opened(&o);
    pki_issue(ca, &w, cert, key);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    none_more = files;
    none_more.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none_more), 0);
    const enum pr_code rc = pr_tls_look(t, &fresh, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    assert_int_equal(rc, PR_EUNAVAIL);
    assert_false(fresh);
    assert_ok(pr_tls_look(t, &fresh, &err), &err);
    assert_true(fresh);
    pr_tls_close(t);
}

static void clients_are_known_by_their_certificates(void **state)
{
    (void)state;
    static const struct {
        const char *const cert;
        bool optional, required;
    } row[] = {
        { NULL, true, false },           { client_file, true, true },
        { stranger_file, false, false }, /* of another CA */
        { late_file, false, false },     /* over */
        { server_file, false, false },   /* not one of a client */
    };
    for (int required = 0; required < 2; required++) {
        struct pr_tls_options o = options();
        o.client_ca.path = ca_file;
        o.client_required = required == 1;
        struct pr_tls *t = opened(&o);
        struct pr_http *h = serve(t);
        for (size_t i = 0; i < PR_COUNT(row); i++) {
            struct client k = { .cert = row[i].cert };
            for (int version = 2; version <= 3; version++) {
                k.versions = version == 2 ? CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_2
                                          : CURL_SSLVERSION_TLSv1_3 | CURL_SSLVERSION_MAX_TLSv1_3;
                if (required ? row[i].required : row[i].optional)
                    assert_let_in(h, &k);
                else
                    assert_shut_out(h, &k);
            }
        }
        pr_http_close(h);
        pr_tls_close(t);
    }
}

static void show_names(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    const char *name;
    (void)ctx;
    for (size_t i = 0; (name = pr_http_client(req, i)) != NULL; i++)
        pr_buf_printf(&res->body, "%s;", name);
    pr_buf_str(&res->body, ".");
}

static void names_of_a_client_are_those_of_its_certificate(void **state)
{
    (void)state;
    static const struct pr_http_route routes[] = { { "GET", "/names", show_names, 0 } };
    struct pr_tls_options o = options();
    o.client_ca.path = ca_file;
    struct pr_tls *t = opened(&o);
    struct pr_http_options ho = { .bind = "127.0.0.1", .routes = routes, .n_routes = 1, .tls = t };
    struct pr_http *h = http_start(ho);
    struct client k = { .cert = client_file };
    assert_int_equal(go(h, &k, "/names"), CURLE_OK);
    assert_string_equal(k.body, "URI=spiffe://prod/ci;CN=ci;.");
    k.cert = NULL;
    assert_int_equal(go(h, &k, "/names"), CURLE_OK);
    assert_string_equal(k.body, ".");

    /* Another CA in its place: clients of the first are strangers now. */
    bool fresh = false;
    struct pr_err err = { 0 };
    static char clients_ca[PKI_PATH];
    pr_http_close(h);
    pr_tls_close(t);
    pki_ca_write(ca, pki_path(clients_ca, "clients.pem"));
    o.client_ca.path = clients_ca;
    t = opened(&o);
    ho.tls = t;
    h = http_start(ho);
    k.cert = client_file;
    assert_int_equal(go(h, &k, "/names"), CURLE_OK);
    struct client kept = { .cert = client_file, .curl = curl_easy_init() };
    assert_int_equal(go(h, &kept, "/names"), CURLE_OK);
    assert_string_equal(kept.body, "URI=spiffe://prod/ci;CN=ci;.");
    pki_ca_write(other, clients_ca);
    assert_ok(pr_tls_look(t, &fresh, &err), &err);
    assert_true(fresh);
    assert_int_equal(go(h, &kept, "/names"), CURLE_OK); /* also on a connection that was there */
    assert_int_equal(kept.connects, 0);
    assert_string_equal(kept.body, ".");
    pki_ca_write(ca, clients_ca); /* and it is somebody again */
    assert_ok(pr_tls_look(t, &fresh, &err), &err);
    assert_int_equal(go(h, &kept, "/names"), CURLE_OK);
    assert_int_equal(kept.connects, 0);
    assert_string_equal(kept.body, "URI=spiffe://prod/ci;CN=ci;.");
    pki_ca_write(other, clients_ca);
    assert_ok(pr_tls_look(t, &fresh, &err), &err);
    curl_easy_cleanup(kept.curl);
    assert_int_not_equal(go(h, &k, "/names"), CURLE_OK);
    k.cert = stranger_file;
    assert_int_equal(go(h, &k, "/names"), CURLE_OK);
    assert_string_equal(k.body, "CN=stranger;.");
    pr_http_close(h);
    pr_tls_close(t);
}

struct many {
    const struct pr_http *h;
    int done;
};
static void *come_often(void *arg)
{
    struct many *m = arg;
    struct client k = { 0 };
    for (int i = 0; i < 10; i++)
        m->done += go(m->h, &k, "/v1/show/1") == CURLE_OK && k.status == 200;
    return NULL;
}

static void handshakes_and_replacements_do_not_meet(void **state)
{
    (void)state;
    const struct pr_tls_options o = options();
    const struct pki_want w = { .cn = "again", .server = true };
    struct pr_tls *t = opened(&o);
    struct pr_http *h = serve(t);
    struct many many[4];
    pthread_t thread[4];
    struct pr_err err = { 0 };
    for (int i = 0; i < 4; i++) {
        many[i] = (struct many){ h, 0 };
        assert_int_equal(pthread_create(&thread[i], NULL, come_often, &many[i]), 0);
    }
    for (int i = 0; i < 20; i++) {
        bool fresh = false;
        pki_issue(ca, &w, cert_file, key_file);
        assert_ok(pr_tls_look(t, &fresh, &err), &err);
        assert_true(fresh);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
        assert_int_equal(many[i].done, 10);
    }
    pr_http_close(h);
    pr_tls_close(t);
}

static void set_up(void)
{
    const struct pki_want server = { .cn = "first", .server = true },
                          client = { .cn = "ci", .uri = "spiffe://prod/ci" },
                          stranger = { .cn = "stranger" },
                          late = { .cn = "ci", .from_s = -7200, .until_s = -3600 };
    ca = pki_ca_new("Test CA");
    other = pki_ca_new("Other CA");
    pki_ca_write(ca, pki_path(ca_file, "ca.pem"));
    pki_ca_write(other, pki_path(other_file, "other.pem"));
    pki_issue(ca, &server, pki_path(cert_file, "cert.pem"), pki_path(key_file, "key.pem"));
    pki_issue(ca, &client, pki_path(client_file, "client.pem"), NULL);
    pki_issue(other, &stranger, pki_path(stranger_file, "stranger.pem"), NULL);
    pki_issue(ca, &late, pki_path(late_file, "late.pem"), NULL);
    pki_issue(ca, &server, pki_path(server_file, "server.pem"), NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_served_over_tls_is_only_served_so),
        cmocka_unit_test(what_does_not_fit_is_refused_by_name),
        cmocka_unit_test(certificates_are_replaced_under_way),
        cmocka_unit_test(links_are_followed),
        cmocka_unit_test(what_could_not_be_read_is_tried_again),
        cmocka_unit_test(clients_are_known_by_their_certificates),
        cmocka_unit_test(names_of_a_client_are_those_of_its_certificate),
        cmocka_unit_test(handshakes_and_replacements_do_not_meet),
    };
    set_up();
    int failed = http_run_tests(tests, PR_COUNT(tests));
    pki_ca_free(ca);
    pki_ca_free(other);
    return failed;
}
