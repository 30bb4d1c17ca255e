/* Requests that are wrong in every way that we could think of, against the real server: it never
 * crashes, never answers 5xx but 503 (what it needs is away, which is documented), gives nobody
 * more than his token is good for, says what is wrong as problem+json, and goes on. PRISM_FUZZ_SEED
 * and PRISM_FUZZ_REQUESTS in the environment choose others. */
#include "api_edge_stage.h"
#include "api_fuzz_make.h"
#include "api_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUESTS = 3000, ANSWER_MS = 60000, LOOK_EVERY = 100 };

struct tally {
    size_t answered, closed, by_class[6];
    size_t strangers; /* answered, without a good token */
    size_t checked;   /* let in, and no administrator: as their role says */
};

static uint64_t seed;
static struct edge_key key; /* of the identity provider */
static char *jwt;           /* of an administrator, good */

/* The request's beginning, readable, for whoever has to find out. */
static const char *shown(const struct fuzz_request *r)
{
    static char text[2400];
    size_t n = 0;
    for (size_t i = 0; i < r->bytes.len && i < 500; i++) {
        const unsigned char c = (unsigned char)r->bytes.data[i];
        n += (size_t)snprintf(text + n, sizeof text - n, c >= ' ' && c < 127 ? "%c" : "\\x%02x", c);
    }
    return text;
}

#define WRONG(r, a, why)                                                                           \
    fail_msg("seed %llu, request %zu: %s: status %d, type %s\n%s\n%.300s",                         \
             (unsigned long long)seed, (r)->number, (why), (a)->status, (a)->type, shown(r),       \
             (a)->body)

/* What anybody may have: by what is asked for, as the server reads it. */
static bool is_open(const struct fuzz_request *r)
{
    static const char *const open[] = { "/livez", "/readyz", "/metrics", "/openapi.json",
                                        "/docs",  "/ui/",    NULL };
    char path[256];
    size_t n = 0;
    const char *at = memchr(r->bytes.data, ' ', r->bytes.len), *end = r->bytes.data + r->bytes.len;
    for (at = at == NULL ? end : at + 1; at < end && n + 1 < sizeof path; at++) {
        unsigned byte;
        if (*at == ' ' || *at == '?' || *at == '\r')
            break;
        if (*at == '%' && end - at > 2 && sscanf(at + 1, "%2x", &byte) == 1) {
            path[n++] = (char)byte;
            at += 2;
        } else
            path[n++] = *at;
    }
    path[n] = '\0';
    for (size_t i = 0; open[i] != NULL; i++)
        if (strncmp(path, open[i], strlen(open[i])) == 0)
            return true;
    return strcmp(path, "/") == 0;
}

/* Whoever has no good token gets nothing but what is open to all, and with one nobody gets more
 * than his role. */
static void judge_rights(const struct fuzz_request *r, const struct wire_answer *a, struct tally *t)
{
    const bool given = a->status / 100 == 2 || a->status / 100 == 3;
    t->strangers += r->role == API_NOBODY;
    if (!given)
        return;
    if (r->role == API_NOBODY && !is_open(r))
        WRONG(r, a, "let in without a good token");
    if (r->route != NULL && !api_allowed(r->role, r->route->access))
        WRONG(r, a, "let in above its role");
    t->checked += r->route != NULL && r->role < API_ADMIN;
}

static void judge(const struct fuzz_request *r, const struct wire_answer *a, bool whole,
                  struct tally *t)
{
    const bool head = strcmp(r->method, "HEAD") == 0;
    if (!whole && r->framed)
        WRONG(r, a, a->late ? "no answer" : "hung up");
    t->answered += whole;
    t->closed += !whole;
    if (a->status == 0)
        return;
    t->by_class[a->status / 100 < 6 ? a->status / 100 : 0]++;
    judge_rights(r, a, t);
    if (a->status >= 500 && a->status != 503 && (r->framed || a->status == 500))
        WRONG(r, a, "5xx");
    if (!r->framed || a->status < 400 || head)
        return;
    json_t *j = json_loads(a->body, 0, NULL);
    const bool says = json_integer_value(json_object_get(j, "status")) == a->status &&
                      json_is_string(json_object_get(j, "title"));
    json_decref(j);
    if (strncmp(a->type, "application/problem+json", 24) != 0 || !says)
        WRONG(r, a, "no problem+json");
}

static void strike(size_t number, struct tally *t)
{
    struct fuzz_request r = { .number = number };
    struct wire_answer a;
    pr_buf_init(&r.bytes, 0);
    fuzz_make(&r);
    const int fd = wire_connect(fx.service.port);
    if (fd < 0)
        fail_msg("seed %llu, request %zu: nobody listens", (unsigned long long)seed, number);
    (void)wire_send(fd, r.bytes.data, r.bytes.len);
    if (!r.framed) /* half of one is waited for; this says that there is no more */
        (void)shutdown(fd, SHUT_WR);
    const bool whole = wire_read(fd, &a, strcmp(r.method, "HEAD") == 0, ANSWER_MS);
    judge(&r, &a, whole, t);
    wire_done(&a);
    close(fd);
    pr_buf_done(&r.bytes);
}

static void looks_well(size_t number)
{
    struct reply r = { 0 };
    if (!it_alive(fx.service.pid))
        fail_msg("seed %llu: the server has ended by request %zu", (unsigned long long)seed,
                 number);
    api_call(&r, NULL, "GET", "/livez", NULL, NULL);
    assert_status(&r, 200);
    api_call(&r, "viewer", "GET", "/v1/vertices/1", NULL, NULL);
    assert_status(&r, 200);
    api_reply_done(&r);
}

static void whatever_is_sent_the_server_answers_and_goes_on(void **state)
{
    (void)state;
    const char *wanted = getenv("PRISM_FUZZ_REQUESTS");
    const size_t n = wanted == NULL ? REQUESTS : strtoul(wanted, NULL, 10);
    struct tally t = { 0 };
    for (size_t i = 0; i < n; i++) {
        strike(i, &t);
        if (i % LOOK_EVERY == 0)
            looks_well(i);
    }
    looks_well(n);
    print_message("seed %llu: %zu requests, %zu answered, %zu hung up on; 2xx %zu, 4xx %zu, 5xx "
                  "%zu; %zu without a good token, %zu let in below administrator\n",
                  (unsigned long long)seed, n, t.answered, t.closed, t.by_class[2], t.by_class[4],
                  t.by_class[5], t.strangers, t.checked);
    assert_true(t.by_class[2] > n / 100); /* some of it got through to the handlers */
    assert_true(t.by_class[4] > n / 4);
    assert_true(t.strangers > n / 10);
    assert_true(t.checked > n / 200);
}

/* Its checksum is no secret, so anybody can make one. */
static void a_page_token_that_is_forged_is_refused(void **state)
{
    (void)state;
    struct reply r = { 0 };
    char token[API_TOKEN_MAX], path[API_TOKEN_MAX + 100];
    size_t refused = 0;
    api_sql("INSERT INTO autoscale_fleets (name, settings, changed_by) VALUES ('f', '{}', 'x')");
    api_sql("INSERT INTO placement_runs (operation_id, source, created_by, state) "
            "VALUES (gen_random_uuid(), '{\"file\": \"/g\"}', 'x', 'done')");
    api_sql("INSERT INTO hints VALUES (1, 1, 'a', 1)");
    (void)api_balance_plan(&r);
    for (size_t i = 0; i < fuzz_list_count; i++)
        for (unsigned filters = 0; filters < 8; filters++)
            for (size_t k = 0; k < fuzz_cursor_count; k++) {
                fuzz_forge(token, fuzz_lists[i].list, filters, fuzz_cursors[k]);
                (void)snprintf(path, sizeof path, "%s?pageToken=%s", fuzz_lists[i].path, token);
                api_call(&r, "admin", "GET", path, NULL, NULL);
                if (r.status != 200 && r.status != 400 && r.status != 410 && r.status != 503)
                    fail_msg("%s, %u filters, cursor \"%s\": %ld %s", fuzz_lists[i].path, filters,
                             fuzz_cursors[k], r.status, r.text);
                refused += r.status == 400;
            }
    assert_true(refused > fuzz_list_count * 7 * fuzz_cursor_count); /* of other filters */
    api_reply_done(&r);
}

/* Some of an administrator's own are in between, or it would prove nothing. */
static void the_token_that_others_are_made_from_is_good(void **state)
{
    (void)state;
    edge_assert_in(jwt);
    assert_int_equal(edge_get(jwt, "/v1/audit"), 200);
}

static int set_up(void **state)
{
    static char jwks[PKI_PATH + 64];
    static const char *const settings[] = { "PRISM_API_READS_PER_S=1000000",
                                            "PRISM_API_CHANGES_PER_S=1000000",
                                            "PRISM_API_REFUSALS_PER_S=1000000",
                                            "PRISM_API_JWT_ISSUER=" EDGE_ISSUER,
                                            "PRISM_API_JWT_AUDIENCE=" EDGE_AUDIENCE,
                                            jwks,
                                            NULL };
    char file[PKI_PATH];
    key = edge_key(R_KEY_TYPE_RSA, 2048, "fuzz");
    const struct edge_key *all[] = { &key };
    pki_write(pki_path(file, "fuzz-jwks.json"), edge_set(all, 1));
    (void)snprintf(jwks, sizeof jwks, "PRISM_API_JWT_JWKS=%s", file);
    jwt = strdup(
        edge_sign(&key, R_JWA_ALG_RS256, key.kid, NULL, edge_claims("fuzz", "admin", 24 * 3600)));
    fuzz_jwt_from(jwt);
    api_settings = settings;
    return api_small_setup(state);
}

static int tear_down(void **state)
{
    const int rc = api_teardown(state);
    edge_key_free(&key);
    free(jwt);
    return rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_token_that_others_are_made_from_is_good),
        cmocka_unit_test(a_page_token_that_is_forged_is_refused),
        cmocka_unit_test(whatever_is_sent_the_server_answers_and_goes_on),
    };
    const char *chosen = getenv("PRISM_FUZZ_SEED");
    seed = chosen == NULL ? 20261121 : strtoull(chosen, NULL, 10);
    struct pr_err err = { 0 };
    struct api_spec *spec;
    if (api_spec_new(&spec, api_description, &err) != PR_OK)
        return 1;
    fuzz_begin(seed, spec);
    const int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    api_spec_free(spec);
    return failed;
}
