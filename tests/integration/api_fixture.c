#include "api_fixture.h"

#include "prism/slot.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct api_fixture fx;
const char *const *api_settings;

static const char seed_tokens[] =
    "INSERT INTO api_tokens (name, hash, role, expires_at, revoked_at) VALUES "
    "('viewer', sha256('tok-viewer'), 'viewer', NULL, NULL), "
    "('operator', sha256('tok-operator'), 'operator', 'infinity', NULL), "
    "('admin', sha256('tok-admin'), 'admin', now() + interval '1 hour', NULL), "
    "('expired', sha256('tok-expired'), 'admin', now() - interval '1 second', NULL), "
    "('revoked', sha256('tok-revoked'), 'admin', NULL, now())";

/* What the topology watcher would have written. */
static const char *const seed_small[] = {
    "INSERT INTO store (partitions) VALUES (64)",
    "INSERT INTO zones (id, subnet) VALUES ('a', '10.0.1.0/24'), ('b', '10.0.2.0/24'), ('c', NULL)",
    "INSERT INTO nodes (id, host, port, zone_id, role, state, shard_id, slots) "
    "SELECT 'n' || i, '127.0.0.1', 7000 + i, substr('abcbca', i, 1), "
    "CASE WHEN i < 4 THEN 'primary' ELSE 'replica' END, 'up', 'n' || (i - 1) % 3 + 1, "
    "CASE WHEN i < 4 THEN 5461 ELSE 0 END FROM generate_series(1, 6) i",
    "INSERT INTO shards (id, primary_id, replicas, slots) SELECT 'n' || i, 'n' || i, "
    "ARRAY['n' || i + 3], 5461 FROM generate_series(1, 3) i",
    "INSERT INTO slots SELECT s, 'n' || s * 3 / 16384 + 1, 'n' || s * 3 / 16384 + 1, "
    "substr('abc', s * 3 / 16384 + 1, 1) FROM generate_series(0, 16383) s",
    "INSERT INTO partitions (id, slot, vertices, bytes) VALUES (5, 0, 12, 3400)",
};

static int setup(bool small)
{
    memset(&fx, 0, sizeof fx); /* over TLS only once the test says so */
    it_bus_reset();
    it_database("api", fx.uri);
    api_sql("%s", seed_tokens);
    for (size_t i = 0; small && i < PR_COUNT(seed_small); i++)
        api_sql("%s", seed_small[i]);
    it_service(&fx.service, "metadata-api", fx.uri, api_settings);
    return 0;
}

int api_empty_setup(void **state)
{
    (void)state;
    return setup(false);
}

int api_small_setup(void **state)
{
    (void)state;
    return setup(true);
}

/* cmocka's exit status does not tell that a teardown failed. */
int api_teardown(void **state)
{
    (void)state;
    const int status = it_stop(fx.service.pid);
    if (status != 0) {
        print_error("metadata-api ended with status %d: see its log\n", status);
        exit(EXIT_FAILURE);
    }
    return 0;
}

const char *api_sql(const char *fmt, ...)
{
    static char cell[16384];
    char sql[8192];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(sql, sizeof sql, fmt, ap);
    va_end(ap);
    it_sql(fx.uri, sql, cell, sizeof cell);
    return cell;
}

unsigned api_home(const char *vertex)
{
    return pr_home_partition(pr_vertex_hash(vertex, strlen(vertex)), API_PARTITIONS);
}

const char *api_blob(const char *vertex, unsigned partition)
{
    static char text[64];
    uint64_t hash = pr_vertex_hash(vertex, strlen(vertex));
    size_t n = (size_t)snprintf(text, sizeof text, "'\\x");
    for (int i = 0; i < 8; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%02x", (unsigned)(hash >> 8 * i & 255));
    for (int i = 0; i < 4; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%02x", partition >> 8 * i & 255);
    snprintf(text + n, sizeof text - n, "'");
    return text;
}

/* --- calls ----------------------------------------------------------------- */

static size_t on_data(char *p, size_t size, size_t n, void *ctx)
{
    struct reply *r = ctx;
    size_t have = r->text == NULL ? 0 : strlen(r->text);
    r->text = realloc(r->text, have + size * n + 1);
    assert_non_null(r->text);
    memcpy(r->text + have, p, size * n);
    r->text[have + size * n] = '\0';
    return size * n;
}

static void keep(const char *line, size_t n, const char *name, char *to, size_t cap)
{
    size_t len = strlen(name);
    if (n <= len || strncasecmp(line, name, len) != 0 || line[len] != ':')
        return;
    size_t from = len + 1, end = n;
    while (from < end && isspace((unsigned char)line[from]))
        from++;
    while (end > from && isspace((unsigned char)line[end - 1]))
        end--;
    snprintf(to, cap, "%.*s", (int)(end - from), line + from);
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct reply *r = ctx;
    keep(p, size * n, "ETag", r->etag, sizeof r->etag);
    keep(p, size * n, "Location", r->location, sizeof r->location);
    keep(p, size * n, "WWW-Authenticate", r->challenge, sizeof r->challenge);
    keep(p, size * n, "Age", r->age, sizeof r->age);
    keep(p, size * n, "Idempotency-Replayed", r->replayed, sizeof r->replayed);
    keep(p, size * n, "Warning", r->warning, sizeof r->warning);
    keep(p, size * n, "Retry-After", r->retry_after, sizeof r->retry_after);
    keep(p, size * n, "Content-Type", r->type, sizeof r->type);
    return size * n;
}

void api_reply_done(struct reply *r)
{
    json_decref(r->j);
    free(r->text);
    *r = (struct reply){ 0 };
}

static const char *api_base(char out[64])
{
    if (fx.ca == NULL)
        snprintf(out, 64, "%s", fx.service.url);
    else
        snprintf(out, 64, "https://localhost:%d", fx.tls_port);
    return out;
}

void api_call(struct reply *r, const char *role, const char *method, const char *path,
              const char *body, const char *header)
{
    char url[4096], base[64], line[16384];
    struct curl_slist *headers = NULL;
    CURL *c = curl_easy_init();
    assert_non_null(c);
    api_reply_done(r);
    snprintf(url, sizeof url, "%s%s", api_base(base), path);
    snprintf(line, sizeof line, "Authorization: Bearer tok-%s", role == NULL ? "" : role);
    headers = curl_slist_append(headers, "Expect:");
    if (role != NULL)
        headers = curl_slist_append(headers, line);
    while (header != NULL && *header != '\0') {
        const size_t n = strcspn(header, "\n");
        snprintf(line, sizeof line, "%.*s", (int)n, header);
        headers = curl_slist_append(headers, line);
        header += n + (header[n] == '\n');
    }
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
    if (fx.ca != NULL) {
        curl_easy_setopt(c, CURLOPT_CAINFO, fx.ca);
        curl_easy_setopt(c, CURLOPT_IPRESOLVE, CURL_IPRESOLVE_V4);
        curl_easy_setopt(c, CURLOPT_SSLCERT, fx.cert);
        curl_easy_setopt(c, CURLOPT_SSLKEY, fx.cert);
    }
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, 20L);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, r);
    if (body != NULL || strcmp(method, "POST") == 0)
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, body == NULL ? "" : body);
    CURLcode rc = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &r->status);
    if (rc != CURLE_OK && r->status == 0)
        fail_msg("%s %s: %s", method, path, curl_easy_strerror(rc));
    r->j = r->text == NULL ? NULL : json_loads(r->text, JSON_DECODE_ANY, NULL);
    curl_slist_free_all(headers);
    curl_easy_cleanup(c);
}

static json_t *member(const struct reply *r, const char *name)
{
    json_t *v = json_object_get(r->j, name);
    if (v == NULL)
        fail_msg("no member %s in %s", name, r->text);
    return v;
}

const char *api_str(const struct reply *r, const char *name)
{
    const char *s = json_string_value(member(r, name));
    if (s == NULL)
        fail_msg("member %s is no string in %s", name, r->text);
    return s;
}

long long api_int(const struct reply *r, const char *name)
{
    if (!json_is_integer(member(r, name)))
        fail_msg("member %s is no integer in %s", name, r->text);
    return json_integer_value(member(r, name));
}

/* --- prismctl ---------------------------------------------------------------- */

int api_ctl(const char *role, const char *const *more, const char *line, char *out, size_t n)
{
    enum { MAX_WORDS = 24, MAX_ENV = 8 };
    const char *argv[MAX_WORDS + 1], *env[MAX_ENV + 3];
    char words[2048], base[64], url[160], token[64], *save = NULL;
    size_t args = 0, envs = 0;
    argv[args++] = PRISM_BIN_DIR "/prismctl";
    snprintf(words, sizeof words, "%s", line);
    for (char *w = strtok_r(words, " ", &save); w != NULL && args < MAX_WORDS;
         w = strtok_r(NULL, " ", &save))
        argv[args++] = w;
    argv[args] = NULL;
    if (role != NULL) {
        snprintf(url, sizeof url, "PRISM_API_URL=%s", api_base(base));
        snprintf(token, sizeof token, "PRISM_TOKEN=tok-%s", role);
        env[envs++] = url;
        env[envs++] = token;
    }
    for (size_t i = 0; more != NULL && more[i] != NULL && i < MAX_ENV; i++)
        env[envs++] = more[i];
    env[envs] = NULL;
    return it_run(env, argv, out, n, 30000);
}

long long api_balance_plan(struct reply *r)
{
    api_call(r, "operator", "POST", "/v1/rebalance/plans", "{\"goal\":{\"kind\":\"balance\"}}",
             NULL);
    assert_status(r, 202);
    return api_int(r, "id");
}

void api_look_at_plan(struct reply *r, long long id, const char *rest, int status)
{
    char path[900];
    snprintf(path, sizeof path, "/v1/rebalance/plans/%lld%s", id, rest);
    api_call(r, "viewer", "GET", path, NULL, NULL);
    assert_status(r, status);
}
