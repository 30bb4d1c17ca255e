#include "io/collectors/prometheus.h"

#include "prism/web/http.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOKBACK_S = 60, SAID = 160 };

/* --- asking -------------------------------------------------------------- */

/* application/x-www-form-urlencoded */
static void add_field(struct pr_buf *b, const char *name, const char *value)
{
    pr_buf_printf(b, "%s%s=", b->len == 0 ? "" : "&", name);
    pr_web_encode(b, value);
}

static void add_seconds(struct pr_buf *b, const char *name, int64_t ms)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%lld.%03d", (long long)(ms / 1000), (int)(ms % 1000));
    add_field(b, name, text);
}

/* Steps lie on multiples of the step, so that a minute's value is of that minute however
 * late it is asked for. */
static void make_body(const struct autoscale_prometheus *at,
                      const struct autoscale_prometheus_query *ask,
                      const struct autoscale_span *when, struct pr_buf *b)
{
    add_field(b, "query", ask->query);
    if (ask->step_ms > 0) {
        add_seconds(b, "start", (when->from_ms / ask->step_ms + 1) * ask->step_ms);
        add_seconds(b, "end", when->now_ms / ask->step_ms * ask->step_ms);
        add_seconds(b, "step", ask->step_ms);
    } else {
        add_seconds(b, "time", when->now_ms);
    }
    /* A series that ended minutes ago would else count on: 5 minutes is the default. */
    add_seconds(b, "lookback_delta", LOOKBACK_S * 1000);
    add_seconds(b, "timeout", at->timeout_ms);
}

enum pr_code autoscale_collect_prometheus(const struct autoscale_prometheus *at,
                                          const struct autoscale_prometheus_query *ask,
                                          const struct autoscale_span *when,
                                          struct autoscale_readings *out, struct pr_err *err)
{
    static const char *const header[] = { "Content-Type: application/x-www-form-urlencoded",
                                          "Accept: application/json" };
    const char *metric = autoscale_metric_name(ask->metric);
    if (ask->step_ms > 0 && (when->from_ms / ask->step_ms + 1) * ask->step_ms > when->now_ms)
        return PR_OK; /* no step lies in the span */

    char url[600];
    const size_t n = strlen(at->url);
    const int wrote = snprintf(url, sizeof url, "%.*s/api/v1/%s",
                               (int)(n > 0 && at->url[n - 1] == '/' ? n - 1 : n), at->url,
                               ask->step_ms > 0 ? "query_range" : "query");
    struct pr_buf body;
    pr_buf_init(&body, 0);
    make_body(at, ask, when, &body);
    if (wrote < 0 || (size_t)wrote >= sizeof url || body.failed) {
        pr_buf_done(&body);
        return pr_fail(err, PR_EINVAL, "Prometheus, %s: URL or query is too long", metric);
    }
    const struct pr_web_request q = { .method = "POST",
                                      .url = url,
                                      .body = body.data,
                                      .header = header,
                                      .headers = PR_COUNT(header),
                                      .timeout_ms = at->timeout_ms,
                                      .ca_file = at->ca_file,
                                      .bearer_file = at->bearer_file };
    struct pr_web_response r;
    enum pr_code rc = pr_web_ask(&q, &r, err);
    pr_buf_done(&body);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "Prometheus, %s", metric);
    rc = autoscale_prometheus_read(ask, when, r.status, r.body.data, r.body.len, out, err);
    pr_buf_done(&r.body);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "Prometheus at %.100s, %s", at->url, metric);
}

/* --- values -------------------------------------------------------------- */

struct reader {
    const struct autoscale_prometheus_query *ask;
    const struct autoscale_span *when;
    struct autoscale_readings *out;
    char source[32];
    const char *warning; /* "" none */
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s == NULL ? "" : s;
}

/* "12.5", "NaN", "+Inf", "-Inf": false when it is none of them. */
static bool number_of(const json_t *v, double *out)
{
    const char *s = json_string_value(v);
    char *end = NULL;
    if (s == NULL || s[0] == '\0' || s[0] == ' ')
        return false;
    *out = strtod(s, &end);
    return end != s && *end == '\0';
}

/* pair: [seconds, "value"] */
static enum pr_code add_value(struct reader *r, const char *member, const char *zone,
                              const json_t *pair, struct pr_err *err)
{
    const json_t *t = json_array_get(pair, 0);
    const int64_t at_ms = json_is_number(t) ? autoscale_seconds_to_ms(json_number_value(t)) : -1;
    struct autoscale_reading one = autoscale_reading_unknown();
    double v = NAN;
    if (json_array_size(pair) != 2 || at_ms < 0 || !number_of(json_array_get(pair, 1), &v))
        return pr_fail(err, PR_EDATA, "a value is not [seconds, \"number\"]");
    one.member = member;
    one.zone = zone;
    one.source = r->source;
    one.at_ms = at_ms;
    /* Steps of the past were there in time, whenever we ask for them. */
    one.received_ms = r->ask->step_ms > 0 && at_ms < r->when->now_ms ? at_ms : r->when->now_ms;
    v *= r->ask->scale == 0 ? 1 : r->ask->scale;
    if (!isfinite(v))
        one.why = isnan(v) ? "the value is NaN" : "the value is infinite";
    else if (member[0] == '\0' && r->warning[0] != '\0')
        one.why = r->warning;
    else
        one.value[r->ask->metric] = v;
    return autoscale_readings_add(r->out, &one, err);
}

static enum pr_code add_values(struct reader *r, const char *member, const char *zone,
                               const json_t *series, struct pr_err *err)
{
    const json_t *value = json_object_get(series, "value");
    const json_t *values = json_object_get(series, "values"), *pair;
    size_t i;
    if (value != NULL)
        return add_value(r, member, zone, value, err);
    if (values == NULL && (json_object_get(series, "histogram") != NULL ||
                           json_object_get(series, "histograms") != NULL)) {
        struct autoscale_reading one = autoscale_reading_unknown();
        one.member = member;
        one.zone = zone;
        one.source = r->source;
        one.at_ms = one.received_ms = r->when->now_ms;
        one.why = "the value is a histogram: ask for a quantile or a rate of it";
        return autoscale_readings_add(r->out, &one, err);
    }
    if (!json_is_array(values))
        return pr_fail(err, PR_EDATA, "a series has no values");
    enum pr_code rc = PR_OK;
    json_array_foreach(values, i, pair) if (rc == PR_OK) rc = add_value(r, member, zone, pair, err);
    return rc;
}

/* --- series -------------------------------------------------------------- */

static enum pr_code add_members(struct reader *r, const json_t *result, struct pr_err *err)
{
    json_t *seen = json_object(), *series;
    enum pr_code rc = seen == NULL ? pr_fail(err, PR_ENOMEM, "no memory") : PR_OK;
    size_t i;
    json_array_foreach(result, i, series)
    {
        const json_t *labels = json_object_get(series, "metric");
        const char *member = text_of(labels, r->ask->member_label);
        if (rc != PR_OK)
            break;
        if (member[0] == '\0')
            rc = pr_fail(err, PR_EDATA, "series %zu has no label \"%.60s\"", i + 1,
                         r->ask->member_label);
        else if (json_object_get(seen, member) != NULL)
            rc = pr_fail(err, PR_EDATA,
                         "two series of member \"%.60s\": aggregate by (%.60s) in the query",
                         member, r->ask->member_label);
        else if (json_object_set_new(seen, member, json_true()) != 0)
            rc = pr_fail(err, PR_EDATA, "a label is no text");
        else
            rc = add_values(
                r, member, r->ask->zone_label[0] == '\0' ? "" : text_of(labels, r->ask->zone_label),
                series, err);
    }
    json_decref(seen);
    return rc;
}

static enum pr_code add_result(struct reader *r, const json_t *data, struct pr_err *err)
{
    const char *type = text_of(data, "resultType");
    const json_t *result = json_object_get(data, "result");
    const size_t n = json_array_size(result);
    if (!json_is_array(result))
        return pr_fail(err, PR_EDATA, "the answer has no result");
    if (strcmp(type, "scalar") == 0)
        return r->ask->member_label[0] == '\0'
                   ? add_value(r, "", "", result, err)
                   : pr_fail(err, PR_EDATA, "the result is one number, of no member");
    if (strcmp(type, "vector") != 0 && strcmp(type, "matrix") != 0)
        return pr_fail(err, PR_EDATA, "the result is a \"%.20s\", not numbers", type);
    if (n == 0)
        return pr_fail(err, PR_ENOTFOUND, "no series: nothing is measured");
    if (r->ask->member_label[0] != '\0')
        return add_members(r, result, err);
    if (n > 1)
        return pr_fail(err, PR_EDATA,
                       "%zu series for the whole fleet: aggregate them in the query, or name the "
                       "label that holds the member",
                       n);
    return add_values(r, "", "", json_array_get(result, 0), err);
}

/* --- the envelope -------------------------------------------------------- */

static enum pr_code refused(long status, const json_t *root, struct pr_err *err)
{
    char said[SAID];
    autoscale_printable(said, sizeof said, text_of(root, "error"));
    if (said[0] == '\0')
        (void)snprintf(said, sizeof said, "HTTP status %ld", status);
    if (status == 401 || status == 403)
        return pr_fail(err, PR_EDENIED, "%ld: %s", status, said);
    if (status == 400 || status == 422 || status == 404)
        return pr_fail(err, PR_EINVAL, "%ld: %s", status, said);
    if (status == 429 || status >= 500)
        return pr_fail(err, PR_EUNAVAIL, "%ld: %s", status, said);
    return pr_fail(err, PR_EDATA, "%ld: %s", status, said);
}

/* All warnings as one line, for the log. */
static void note_warnings(const json_t *root, struct autoscale_readings *out, char *line, size_t n)
{
    json_t *one;
    size_t i, at = 0;
    char said[SAID];
    line[0] = '\0';
    json_array_foreach(json_object_get(root, "warnings"), i, one)
    {
        const char *text = json_string_value(one);
        autoscale_printable(said, sizeof said, text == NULL ? "?" : text);
        const int wrote = snprintf(line + at, n - at, "%s%s", at == 0 ? "warning: " : "; ", said);
        at += wrote < 0 ? 0 : (size_t)wrote < n - at ? (size_t)wrote : n - at - 1;
    }
    if (line[0] != '\0')
        (void)snprintf(out->note, sizeof out->note, "Prometheus: %.230s", line);
}

enum pr_code autoscale_prometheus_read(const struct autoscale_prometheus_query *ask,
                                       const struct autoscale_span *when, long status,
                                       const char *body, size_t n, struct autoscale_readings *out,
                                       struct pr_err *err)
{
    json_error_t where;
    json_t *root = json_loadb(body == NULL ? "" : body, n, 0, &where);
    struct reader r = { .ask = ask, .when = when, .out = out };
    const size_t before = out->n;
    char warning[200];
    enum pr_code rc;
    if (status != 200 || strcmp(text_of(root, "status"), "error") == 0) {
        rc = refused(status, root, err);
    } else if (strcmp(text_of(root, "status"), "success") != 0) {
        rc = pr_fail(err, PR_EDATA, "not an answer of the Prometheus API: %s",
                     root == NULL ? where.text : "its status is not \"success\"");
    } else {
        note_warnings(root, out, warning, sizeof warning);
        r.warning = warning;
        (void)snprintf(r.source, sizeof r.source, "prometheus %s",
                       autoscale_metric_name(ask->metric));
        rc = add_result(&r, json_object_get(root, "data"), err);
    }
    if (rc != PR_OK)
        out->n = before; /* all or nothing: half of the members is not the fleet */
    json_decref(root);
    return rc;
}
