/* Bodies of requests that are wrong in some way, or right, for api_fuzz_test. */
#include "api_fuzz_make.h"

#include <string.h>

enum { DEEP = 200000 };

/* A body that the route could have meant, for others to be made from. */
static const char *sample(const struct pr_http_route *route)
{
    static const struct {
        const char *of, *body;
    } row[] = {
        { "batchGet", "{\"ids\":[\"1\",\"2\",\"a b\"]}" },
        { "/v1/nodes/", "{\"zone\":\"b\"}" },
        { "/v1/nodes", "{\"id\":\"f1\",\"host\":\"10.0.1.1\",\"port\":7000,\"zone\":\"a\"}" },
        { "/v1/zones", "{\"id\":\"z1\",\"subnet\":\"10.9.0.0/24\",\"capacityRatio\":1.5}" },
        { "placement/runs", "{\"source\":{\"file\":\"/g\"},\"params\":{\"seed\":7,\"capacity\":"
                            "{\"a\":1},\"fixed\":{\"17\":\"b\"}}}" },
        { ":", "{\"allowBigKeys\":true,\"allowNoReplicas\":false}" },
        { "rebalance/plans", "{\"goal\":{\"kind\":\"balance\",\"nodes\":[\"n1\"],\"groups\":[\"1-5"
                             "\"]},\"params\":{\"maxBytes\":1e9,\"pairs\":2}}" },
        { "policy", "{\"auto\":[\"failback\"],\"window\":{\"cron\":\"0 3 * * 0\",\"timeZone\":"
                    "\"UTC\",\"minutes\":60},\"maxBytes\":5}" },
        { "pins", "{\"why\":\"because\"}" },
        { "fleets", "{\"settings\":{\"mode\":\"advise\"},\"enabled\":true}" },
        { "drills", "{\"shard\":\"n1\"}" },
        { "/v1/tokens",
          "{\"id\":\"f\",\"role\":\"viewer\",\"expiresAt\":\"2100-01-01T00:00:00Z\"}" },
        { "suggest", "{\"id\":\"1\",\"neighbors\":[\"2\",\"3\"]}" },
        { "failovers", "{\"to\":\"west\",\"waitS\":5}" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (strstr(route->pattern, row[i].of) != NULL)
            return row[i].body;
    return "{}";
}

/* JSON that is right but for one place. */
void fuzz_bent(struct pr_buf *b, const char *body)
{
    static const char *const values[] = {
        "null", "-1",   "1e400", "\"\\u0000\"",          "\"\\ud800\"", "\"\xff\xc3\"", "[]",
        "{}",   "true", "\"\"",  "99999999999999999999", "0.1e-400",    "\"'\"",        "[[[[]]]]"
    };
    const size_t n = strlen(body), at = fuzz_below(n);
    switch (fuzz_below(6)) {
    case 0: /* cut */
        pr_buf_add(b, body, at);
        break;
    case 1: /* a byte of noise */
        pr_buf_add(b, body, at);
        fuzz_noise(b, 1);
        pr_buf_str(b, body + at + 1);
        break;
    case 2: /* twice */
        pr_buf_printf(b, "%s%s", body, body);
        break;
    case 3: /* a member too many */
        pr_buf_printf(b, "{\"x%zu\":1,%s", at, body + 1);
        break;
    default: { /* another value */
        const char *colon = strchr(body + at / 2, ':');
        if (colon == NULL)
            colon = body;
        pr_buf_add(b, body, (size_t)(colon - body) + 1);
        pr_buf_str(b, FUZZ_ANY(values));
        colon += 1 + strcspn(colon + 1, ",}");
        pr_buf_str(b, colon);
    }
    }
}

void fuzz_body(struct pr_buf *b, const struct pr_http_route *route)
{
    switch (fuzz_below(12)) {
    case 0:
        break;
    case 1:
        fuzz_noise(b, fuzz_below(300));
        break;
    case 2: /* deeper than any reader may follow */
        fuzz_many(b,
                  FUZZ_ONE_IN(2) ? "[" : "{\"a\":", 1 + fuzz_below(FUZZ_ONE_IN(10) ? DEEP : 3000));
        break;
    case 3:
        pr_buf_str(b, "{\"id\":");
        fuzz_many(b, "1", fuzz_below(5000));
        pr_buf_str(b, "}");
        break;
    case 4:
        pr_buf_str(b, "{\"id\":\"");
        fuzz_many(b, "\\u00e9", fuzz_below(FUZZ_ONE_IN(20) ? 100000 : 2000));
        pr_buf_str(b, "\"}");
        break;
    case 5:
        pr_buf_str(b, sample(route));
        break;
    case 6:
        if (FUZZ_ONE_IN(20))
            fuzz_many(b, " ", (1 << 20) + fuzz_below(3) - 1); /* about what is allowed */
        pr_buf_add(b, "\0{}", 3);
        break;
    case 7:
        pr_buf_str(b, "{\"ids\":[");
        fuzz_many(b, "\"1\",", fuzz_below(3000));
        pr_buf_str(b, "\"1\"]}");
        break;
    default:
        fuzz_bent(b, sample(route));
    }
}
