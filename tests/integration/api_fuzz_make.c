/* Seeded requests that are wrong in some way, or right, for api_fuzz_test: targets, headers,
 * frames. Bodies are api_fuzz_body.c, who sends it api_fuzz_auth.c. */
#include "api_fuzz_make.h"

#include "prism/rng.h"

#include <stdio.h>
#include <string.h>

static struct pr_rng rng;
static const struct api_spec *spec;

size_t fuzz_below(size_t n)
{
    return (size_t)pr_rng_below(&rng, n);
}

void fuzz_noise(struct pr_buf *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char c = (char)fuzz_below(256);
        pr_buf_add(b, &c, 1);
    }
}

/* Percent-encoded noise: what a URL may carry. */
static void noise_url(struct pr_buf *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pr_buf_printf(b, "%%%02x", (unsigned)fuzz_below(256));
}

void fuzz_many(struct pr_buf *b, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++)
        pr_buf_str(b, text);
}

/* --- the parts ----------------------------------------------------------------- */

static const char *const odd_values[] = {
    "",
    "0",
    "-1",
    "1",
    "18446744073709551616",
    "99999999999999999999999999999999999999",
    "1e309",
    "NaN",
    "true",
    "null",
    "'%3b%20DROP%20TABLE%20nodes%3b%20--",
    "%00",
    "a%00b",
    "%",
    "%zz",
    "%c3%28",
    "%ed%a0%80",
    "%f4%90%80%80",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "a,b,,c",
    "*",
    "\\",
    "%22",
    "2026-13-45T99:99:99Z",
    "infinity",
    "00000000-0000-0000-0000-00000000000g",
    "%7b%7d",
    "%F0%9F%92%A9",
};

static void value(struct pr_buf *b)
{
    switch (fuzz_below(4)) {
    case 0:
        noise_url(b, fuzz_below(20));
        break;
    case 1:
        fuzz_many(b, "9", fuzz_below(400));
        break;
    default:
        pr_buf_str(b, FUZZ_ANY(odd_values));
    }
}

/* What a cursor may not be. */
const char *const fuzz_cursors[] = { "x",
                                     "",
                                     ",",
                                     "x,y",
                                     "2026,zz",
                                     "999999999999999999999",
                                     "-1",
                                     "\xff\xfe",
                                     "a,b,c,d",
                                     "infinity,drill,1",
                                     "2026-01-01,drill,x",
                                     "0.0.0",
                                     "1.2.3.4" };
const struct fuzz_list fuzz_lists[] = {
    { "/v1/nodes", "nodes" },
    { "/v1/zones", "zones" },
    { "/v1/partitions", "partitions" },
    { "/v1/placement/runs", "runs" },
    { "/v1/placement/hints", "hints-1" },
    { "/v1/rebalance/plans", "plans" },
    { "/v1/rebalance/plans/1/steps", "steps-1" },
    { "/v1/rebalance/plans/1/moves", "moves-1" },
    { "/v1/rebalance/pins", "pins" },
    { "/v1/autoscale/fleets", "autoscale-fleets" },
    { "/v1/autoscale/fleets/f/versions", "autoscale-versions-f" },
    { "/v1/autoscale/decisions", "autoscale-decisions" },
    { "/v1/dr/drills", "drills" },
    { "/v1/dr/generations", "generations" },
    { "/v1/dr/restores", "restores" },
    { "/v1/dr/failovers", "failovers" },
    { "/v1/operations", "operations" },
    { "/v1/audit", "audit" },
    { "/v1/tokens", "tokens" },
    { "/v1/events", "events" },
};

const size_t fuzz_cursor_count = PR_COUNT(fuzz_cursors), fuzz_list_count = PR_COUNT(fuzz_lists);

void fuzz_forge(char token[API_TOKEN_MAX], const char *list, unsigned filters, const char *cursor)
{
    const char *const none[8] = { NULL };
    api_token_make(token, list, api_page_scope(none, filters), cursor);
}

static void forged_token(struct pr_buf *b)
{
    char token[API_TOKEN_MAX];
    fuzz_forge(token, fuzz_lists[fuzz_below(PR_COUNT(fuzz_lists))].list, (unsigned)fuzz_below(6),
               FUZZ_ANY(fuzz_cursors));
    pr_buf_str(b, token);
}

static const char *const arguments[] = {
    "pageSize",    "pageToken", "dryRun",  "readMask",  "state",   "kind",   "zone",  "role",
    "consistency", "shard",     "after",   "resource",  "since",   "until",  "fleet", "slot",
    "temperature", "run",       "plan",    "node",      "outcome", "points", "alarm", "move",
    "firstHome",   "homes",     "version", "principal", "action",  "x",
};

/* One that the route has, mostly. */
static void argument(const struct pr_http_route *route, char *out, size_t cap)
{
    char known[512], *save = NULL;
    const char *chosen = NULL;
    size_t seen = 0;
    api_spec_queries(spec, route->method, route->pattern, known, sizeof known);
    for (char *name = strtok_r(known, ", ", &save); name != NULL && !FUZZ_ONE_IN(8);
         name = strtok_r(NULL, ", ", &save))
        if (FUZZ_ONE_IN(++seen))
            chosen = name;
    (void)snprintf(out, cap, "%s", chosen == NULL ? FUZZ_ANY(arguments) : chosen);
}

/* False: there are more arguments than libmicrohttpd takes, which then hangs up by itself. */
static bool query(const struct pr_http_route *route, struct pr_buf *b)
{
    char name[64];
    if (FUZZ_ONE_IN(2))
        return true;
    for (size_t i = 0, n = 1 + fuzz_below(4); i < n; i++) {
        argument(route, name, sizeof name);
        pr_buf_printf(b, "%s%s=", i == 0 ? "?" : "&", name);
        if (strcmp(name, "pageToken") == 0 && !FUZZ_ONE_IN(3))
            forged_token(b);
        else
            value(b);
    }
    const bool long_one = FUZZ_ONE_IN(20), many_ones = !long_one && FUZZ_ONE_IN(50);
    if (long_one) {
        pr_buf_str(b, "&a=");
        fuzz_many(b, "b", fuzz_below(9000)); /* about as long as a target may be */
    }
    if (many_ones)
        fuzz_many(b, "&a=b", 3000);
    return !many_ones;
}

/* False: something that may be no path of the route's any more is in it. */
static bool path_of(const struct pr_http_route *route, struct pr_buf *b)
{
    bool plain = true;
    static const char *const ids[] = { "1",
                                       "n1",
                                       "a",
                                       "slot",
                                       "5",
                                       "99999",
                                       "22222222-2222-2222-2222-222222222222",
                                       "0000000000000012-0002",
                                       "f" };
    for (const char *p = route->pattern; *p != '\0'; p++)
        if (*p == '{') {
            if (FUZZ_ONE_IN(2))
                pr_buf_str(b, FUZZ_ANY(ids));
            else
                value(b);
            p += strcspn(p, "}");
        } else if (FUZZ_ONE_IN(200)) {
            noise_url(b, 1);
            plain = false;
        } else
            pr_buf_add(b, p, 1);
    return plain;
}

static bool target(const struct pr_http_route *route, struct pr_buf *b, bool *plain)
{
    static const char *const odd[] = { "/",
                                       "//",
                                       "/v1",
                                       "/v1/",
                                       "/v1/../v1/nodes",
                                       "*",
                                       "/%2e%2e/",
                                       "/v1/nodes/",
                                       "/v1/nodes//",
                                       "/v1/:",
                                       "/v1/nodes:",
                                       "/v1/%6eodes",
                                       "http://x/v1/nodes",
                                       "/%01",
                                       "/v1/nodes#x" };
    *plain = !FUZZ_ONE_IN(10);
    if (*plain)
        *plain = path_of(route, b);
    else
        pr_buf_str(b, FUZZ_ANY(odd));
    return query(route, b);
}

static void headers(struct pr_buf *b)
{
    static const char *const odd[] = {
        "If-Match: \"1\"\r\n",
        "If-Match: \"1-\"\r\n",
        "If-Match: *\r\n",
        "If-Match: *\r\n",
        "If-Match: \"\r\n",
        "If-Match: W/\"1\"\r\n",
        "If-Match: \"18446744073709551616\"\r\n",
        "If-None-Match: *\r\n",
        "If-None-Match: \r\n",
        "If-None-Match: \"\"\r\n",
        "Idempotency-Key: k\r\n",
        "Idempotency-Key: \r\n",
        "Idempotency-Key: \x80\xff\r\n",
        "Idempotency-Key: ' OR 1=1\r\n",
        "Content-Type: text/plain\r\n",
        "Accept: nothing/at-all\r\n",
        "Last-Event-ID: 1.1.1\r\n",
        "Last-Event-ID: \xff\r\n",
        "traceparent: 00-zz\r\n",
        "traceparent: 00-00000000000000000000000000000000-0000000000000000-00\r\n",
        "X: \r\n",
        "Cookie: a=b; \"\r\n",
        "Range: bytes=0-1\r\n",
        "X-Forwarded-For: ::::\r\n",
    };
    for (size_t i = 0, n = fuzz_below(5); i < n; i++)
        pr_buf_str(b, FUZZ_ANY(odd));
    if (FUZZ_ONE_IN(50)) {
        pr_buf_str(b, "Idempotency-Key: ");
        fuzz_many(b, "k", fuzz_below(600));
        pr_buf_str(b, "\r\n");
    }
}

/* --- whole requests --------------------------------------------------------------- */

static void well_framed(struct fuzz_request *r)
{
    static const char *const methods[] = { "GET",     "POST",  "PUT",  "PATCH", "DELETE", "HEAD",
                                           "OPTIONS", "TRACE", "BREW", "get",   "CONNECT" };
    const struct pr_http_route *route = &api_routes[fuzz_below(api_route_count)];
    struct pr_buf content;
    pr_buf_init(&content, 0);
    (void)snprintf(r->method, sizeof r->method, "%s",
                   FUZZ_ONE_IN(6) ? FUZZ_ANY(methods) : route->method);
    if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0)
        fuzz_body(&content, route);
    pr_buf_printf(&r->bytes, "%s ", r->method);
    bool plain;
    r->framed = target(route, &r->bytes, &plain);
    if (plain && strcmp(r->method, route->method) == 0)
        r->route = route;
    pr_buf_str(&r->bytes, " HTTP/1.1\r\nHost: x\r\n");
    headers(&r->bytes);
    r->role = fuzz_authorization(&r->bytes);
    pr_buf_printf(&r->bytes, "Content-Length: %zu\r\n\r\n", content.len);
    pr_buf_add(&r->bytes, content.data, content.len);
    pr_buf_done(&content);
}

/* What is no HTTP: whatever reads it may refuse it by itself, or hang up. */
static void badly_framed(struct fuzz_request *r)
{
    static const char *const odd[] = {
        "GET\r\n\r\n",
        "GET /v1/nodes\r\n\r\n",
        "GET /v1/nodes HTTP/9.9\r\nHost: x\r\n\r\n",
        "GET /v1/nodes HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        "POST /v1/nodes HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST /v1/nodes HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551617\r\n\r\n",
        "POST /v1/nodes HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
        "POST /v1/nodes HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "ffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "POST /v1/nodes HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        "POST /v1/nodes HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3"
        "\r\n\r\n0\r\n\r\n",
        "GET /v1/nodes HTTP/1.1\r\n\r\n",
        "GET /v1/nodes HTTP/1.1\r\nHost: x\r\nno colon here\r\n\r\n",
        "GET /v1/nodes HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
        "GET /v1/nodes HTTP/1.1\r\n: empty\r\n\r\n",
        "\r\n\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    };
    r->framed = false;
    switch (fuzz_below(5)) {
    case 0:
        fuzz_noise(&r->bytes, 1 + fuzz_below(2000));
        break;
    case 1: /* a header that is longer than all of them may be */
        pr_buf_str(&r->bytes, "GET /v1/nodes HTTP/1.1\r\nHost: x\r\nX: ");
        fuzz_many(&r->bytes, "x", 40000);
        pr_buf_str(&r->bytes, "\r\n\r\n");
        break;
    case 2: { /* one that was right, with noise in it */
        well_framed(r);
        r->framed = false;
        r->route = NULL;
        if (r->role != API_NOBODY) /* it may be another one's by now */
            r->role = API_ADMIN;
        for (size_t i = 0, n = 1 + fuzz_below(5); i < n; i++)
            r->bytes.data[fuzz_below(r->bytes.len)] = (char)fuzz_below(256);
        break;
    }
    case 3:
        pr_buf_str(&r->bytes, "GET /v1/nodes HTTP/1.1\r\nHost: x\r\n");
        fuzz_many(&r->bytes, "A: b\r\n", 8000);
        pr_buf_str(&r->bytes, "\r\n");
        break;
    default:
        pr_buf_str(&r->bytes, FUZZ_ANY(odd));
    }
}

void fuzz_begin(uint64_t seed, const struct api_spec *description)
{
    pr_rng_init(&rng, seed);
    spec = description;
}

void fuzz_make(struct fuzz_request *r)
{
    if (FUZZ_ONE_IN(6))
        badly_framed(r);
    else
        well_framed(r);
}
