#include "api_edge_stage.h"

#include "prism/io/http.h"

#include <arpa/inet.h>
#include <glob.h>
#include <orcania.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROUND = 8, TOKEN = 32 * 1024, LOG_BYTES = 32 << 20 };

struct reply edge_r;
struct pki_ca *edge_ca;
char edge_ca_file[PKI_PATH], edge_cert_file[PKI_PATH], edge_key_file[PKI_PATH];
char edge_port_url[64];
atomic_int edge_asked;

void edge_pki(void)
{
    const struct pki_want server = { .cn = "localhost", .server = true };
    if (edge_ca != NULL)
        return;
    edge_ca = pki_ca_new("Edge CA");
    pki_ca_write(edge_ca, pki_path(edge_ca_file, "edge-ca.pem"));
    pki_issue(edge_ca, &server, pki_path(edge_cert_file, "edge-cert.pem"),
              pki_path(edge_key_file, "edge-key.pem"));
}

/* --- keys and tokens ------------------------------------------------------------- */

static char *next(void)
{
    static char text[ROUND][TOKEN];
    static size_t i;
    return text[i++ % ROUND];
}

struct edge_key edge_key(int type, unsigned bits, const char *kid)
{
    struct edge_key k = { 0 };
    assert_int_equal(r_jwk_init(&k.priv), RHN_OK);
    assert_int_equal(r_jwk_init(&k.pub), RHN_OK);
    assert_int_equal(r_jwk_generate_key_pair(k.priv, k.pub, type, bits, kid), RHN_OK);
    snprintf(k.kid, sizeof k.kid, "%s", kid);
    return k;
}

void edge_key_free(struct edge_key *k)
{
    r_jwk_free(k->priv);
    r_jwk_free(k->pub);
    *k = (struct edge_key){ 0 };
}

const char *edge_set(const struct edge_key *const *keys, size_t n)
{
    static char text[TOKEN];
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, r_jwk_export_to_json_t(keys[i]->pub));
    json_t *set = json_pack("{s:o}", "keys", list);
    char *dump = json_dumps(set, JSON_COMPACT);
    snprintf(text, sizeof text, "%s", dump);
    free(dump);
    json_decref(set);
    return text;
}

const char *edge_sign(const struct edge_key *k, jwa_alg alg, const char *kid, const char *header,
                      const char *claims)
{
    jws_t *jws = NULL;
    char *to = next();
    assert_int_equal(r_jws_init(&jws), RHN_OK);
    assert_int_equal(r_jws_set_alg(jws, alg), RHN_OK);
    if (header != NULL) {
        json_t *more = json_loads(header, 0, NULL), *v;
        const char *name;
        assert_non_null(more);
        json_object_foreach(more, name, v)
            assert_int_equal(r_jws_set_header_json_t_value(jws, name, v), RHN_OK);
        json_decref(more);
    }
    if (kid != NULL)
        assert_int_equal(r_jws_set_header_str_value(jws, "kid", kid), RHN_OK);
    assert_int_equal(r_jws_set_payload(jws, (const unsigned char *)claims, strlen(claims)), RHN_OK);
    jwk_t *key = r_jwk_copy(k->priv); /* else its own kid would go into the header */
    r_jwk_delete_property_str(key, "kid");
    char *text = r_jws_serialize(jws, key, R_FLAG_IGNORE_REMOTE);
    assert_non_null(text);
    snprintf(to, TOKEN, "%s", text);
    o_free(text);
    r_jwk_free(key);
    r_jws_free(jws);
    return to;
}

const char *edge_claims(const char *sub, const char *role, long good_s)
{
    char *to = next();
    const long now = (long)time(NULL);
    snprintf(to, TOKEN,
             "{\"iss\":\"" EDGE_ISSUER "\",\"aud\":[\"other\",\"" EDGE_AUDIENCE
             "\"],\"sub\":\"%s\","
             "\"iat\":%ld,\"exp\":%ld,\"roles\":[\"%s\",\"something-else\"]}",
             sub, now, now + good_s, role);
    return to;
}

const char *edge_token(const struct edge_key *k, const char *sub, const char *role)
{
    const int type = r_jwk_key_type(k->priv, NULL, R_FLAG_IGNORE_REMOTE);
    const jwa_alg alg = (type & R_KEY_TYPE_RSA) != 0     ? R_JWA_ALG_RS256
                        : (type & R_KEY_TYPE_EDDSA) != 0 ? R_JWA_ALG_EDDSA
                                                         : R_JWA_ALG_ES256;
    return edge_sign(k, alg, k->kid, NULL, edge_claims(sub, role, 600));
}

static size_t encode(char *to, const char *text)
{
    size_t n = 0;
    if (text[0] != '\0')
        assert_int_equal(
            o_base64url_encode((const unsigned char *)text, strlen(text), (unsigned char *)to, &n),
            1);
    to[n] = '\0';
    return n;
}

const char *edge_raw(const char *header, const char *claims, const char *sign)
{
    char *to = next();
    size_t n = encode(to, header);
    to[n++] = '.';
    n += encode(to + n, claims);
    to[n++] = '.';
    (void)encode(to + n, sign == NULL ? "" : sign);
    return to;
}

/* --- the identity provider --------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    int status;
    char body[TOKEN];
    struct pr_http *http;
    struct pr_tls *tls;
    int port;
} idp = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void keys(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    (void)req;
    edge_asked++;
    pthread_mutex_lock(&idp.lock);
    res->status = idp.status;
    pr_buf_str(&res->body, idp.body);
    pthread_mutex_unlock(&idp.lock);
}

void edge_idp_says(int status, const char *body)
{
    pthread_mutex_lock(&idp.lock);
    idp.status = status;
    snprintf(idp.body, sizeof idp.body, "%s", body);
    pthread_mutex_unlock(&idp.lock);
}

void edge_idp_up(const char *set)
{
    static const struct pr_http_route routes[] = { { "GET", "/keys", keys, 0 } };
    struct pr_err err;
    edge_pki();
    edge_idp_says(200, set);
    if (idp.http != NULL)
        return;
    edge_idp_down();
    const struct pr_tls_options o = { .cert = { "CERT", edge_cert_file },
                                      .key = { "KEY", edge_key_file },
                                      .client_ca = { "CA", "" },
                                      .priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2",
                                      .priorities_setting = "PRIORITIES" };
    assert_ok(pr_tls_open(&idp.tls, &o, &err), &err);
    if (idp.port == 0)
        idp.port = it_free_port();
    const struct pr_http_options ho = { .bind = "127.0.0.1",
                                        .port = idp.port,
                                        .routes = routes,
                                        .n_routes = PR_COUNT(routes),
                                        .tls = idp.tls };
    assert_ok(pr_http_open(&idp.http, &ho, &err), &err);
    snprintf(edge_port_url, sizeof edge_port_url, "https://localhost:%d/keys", idp.port);
}

static int silent = -1;

void edge_idp_down(void)
{
    if (silent >= 0)
        close(silent);
    silent = -1;
    pr_http_close(idp.http);
    pr_tls_close(idp.tls);
    idp.http = NULL;
    idp.tls = NULL;
}

void edge_idp_hangs(void)
{
    const struct sockaddr_in at = { .sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)idp.port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const int on = 1;
    edge_idp_down();
    silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(silent >= 0);
    assert_int_equal(setsockopt(silent, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    assert_int_equal(bind(silent, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(silent, 64), 0);
}

/* --- calls --------------------------------------------------------------------------- */

long edge_get(const char *token, const char *path)
{
    static char header[TOKEN + 32];
    snprintf(header, sizeof header, "Authorization: Bearer %s", token == NULL ? "" : token);
    api_call(&edge_r, NULL, "GET", path, NULL, token == NULL ? NULL : header);
    return edge_r.status;
}

void edge_assert_in(const char *token)
{
    if (edge_get(token, "/v1/nodes") != 200)
        fail_msg("%ld: %s\n%s", edge_r.status, edge_r.text, token);
}

/* Appends a file to text, which has have bytes of at most LOG_BYTES. */
static size_t append(char *text, size_t have, const char *path)
{
    size_t n;
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    while (have < LOG_BYTES && (n = fread(text + have, 1, LOG_BYTES - have, f)) > 0)
        have += n;
    fclose(f);
    return have;
}

char *edge_log(void)
{
    char pattern[512];
    glob_t found;
    size_t have = 0;
    char *text = malloc(LOG_BYTES + 1);
    assert_non_null(text);
    snprintf(pattern, sizeof pattern, "%s/log/test-*-%d-*.log", getenv("PRISM_IT_DIR"),
             (int)getpid());
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        have = append(text, have, found.gl_pathv[i]);
    globfree(&found);
    text[have] = '\0';
    return text;
}

int edge_jwt_setup(void **state, const struct edge_key *const *keys, size_t n,
                   const char *const *more)
{
    static char jwks[128], ca[PKI_PATH + 64];
    static const char *settings[16] = { jwks,
                                        ca,
                                        "PRISM_API_JWT_ISSUER=" EDGE_ISSUER,
                                        "PRISM_API_JWT_AUDIENCE=" EDGE_AUDIENCE,
                                        "PRISM_API_REFUSALS_PER_S=1000000",
                                        "PRISM_API_BOOKMARK_MS=200" };
    size_t at = 6;
    for (; *more != NULL; more++) {
        assert_true(at + 1 < PR_COUNT(settings));
        settings[at++] = *more;
    }
    settings[at] = NULL;
    edge_idp_up(edge_set(keys, n));
    snprintf(jwks, sizeof jwks, "PRISM_API_JWT_JWKS=%s", edge_port_url);
    snprintf(ca, sizeof ca, "PRISM_API_JWT_CA_PATH=%s", edge_ca_file);
    api_settings = settings;
    return api_small_setup(state);
}

int edge_jwt_teardown(void **state, struct edge_key *const *keys, size_t n)
{
    const int rc = api_teardown(state);
    edge_idp_down();
    for (size_t i = 0; i < n; i++)
        edge_key_free(keys[i]);
    pki_ca_free(edge_ca);
    return rc;
}
