#include "io/collectors/cloudwatch.h"

#include "prism/io/clock.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAID = 160 };

struct series { /* of one query and label; pages add to it */
    struct series *next;
    size_t query;
    const char *label, *status, *message;
    double *t, *v; /* [n]: seconds, values */
    size_t n, cap;
};

struct call {
    const struct autoscale_cloudwatch *at;
    const struct autoscale_cloudwatch_query *query;
    size_t queries;
    const struct autoscale_span *when;
    struct pr_arena *arena;
    struct series *series, **end;
    const char *token; /* of the next page; NULL: there is none */
    int64_t until_us;  /* when the time for all pages is up */
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s == NULL ? "" : s;
}

/* --- the question -------------------------------------------------------- */

static json_t *metric_stat(const struct autoscale_cloudwatch_query *q)
{
    json_t *dimensions = json_array();
    for (size_t i = 0; i < q->dimensions; i++)
        (void)json_array_append_new(
            dimensions,
            json_pack("{s:s, s:s}", "Name", q->dimension[i].name, "Value", q->dimension[i].value));
    if (json_array_size(dimensions) != q->dimensions) { /* one fewer is another metric */
        json_decref(dimensions);
        return NULL;
    }
    return json_pack("{s:{s:s, s:s, s:o}, s:i, s:s}", "Metric", "Namespace", q->ns, "MetricName",
                     q->name, "Dimensions", dimensions, "Period", q->period_s, "Stat", q->stat);
}

/* Ids begin with a small letter: q0, q1, ... */
static json_t *one_query(const struct autoscale_cloudwatch_query *q, size_t i)
{
    char id[32];
    (void)snprintf(id, sizeof id, "q%zu", i);
    return q->expression != NULL ? json_pack("{s:s, s:s, s:i}", "Id", id, "Expression",
                                             q->expression, "Period", q->period_s)
                                 : json_pack("{s:s, s:o}", "Id", id, "MetricStat", metric_stat(q));
}

/* StartTime is in, EndTime is not: whole minutes that have settled. malloc, or NULL. */
static char *make_body(const struct call *c)
{
    const int64_t end_s = (c->when->now_ms - c->at->settle_ms) / AUTOSCALE_MINUTE_MS * 60;
    int longest_s = 60;
    json_t *list = json_array();
    for (size_t i = 0; i < c->queries; i++) {
        (void)json_array_append_new(list, one_query(&c->query[i], i));
        longest_s = c->query[i].period_s > longest_s ? c->query[i].period_s : longest_s;
    }
    const int64_t start_s = (c->when->from_ms / 1000 - longest_s) / longest_s * longest_s;
    json_t *root =
        json_pack("{s:I, s:I, s:s, s:o}", "StartTime", (json_int_t)start_s, "EndTime",
                  (json_int_t)end_s, "ScanBy", "TimestampAscending", "MetricDataQueries", list);
    if (c->token != NULL)
        (void)json_object_set_new(root, "NextToken", json_string(c->token));
    char *text = json_array_size(json_object_get(root, "MetricDataQueries")) == c->queries
                     ? json_dumps(root, JSON_COMPACT)
                     : NULL;
    json_decref(root);
    return text;
}

static enum pr_code check(const struct autoscale_cloudwatch_query *q, size_t i, struct pr_err *err)
{
    const bool named = q->ns != NULL && q->name != NULL && q->stat != NULL;
    if ((q->expression == NULL) != named)
        return pr_fail(err, PR_EINVAL,
                       "CloudWatch query %zu: an expression, or namespace, name and statistic",
                       i + 1);
    if (q->period_s < 60 || q->period_s % 60 != 0)
        return pr_fail(err, PR_EINVAL, "CloudWatch query %zu: period %d s is not whole minutes",
                       i + 1, q->period_s);
    return q->dimensions <= AUTOSCALE_CLOUDWATCH_DIMENSIONS
               ? PR_OK
               : pr_fail(err, PR_EINVAL, "CloudWatch query %zu: %zu dimensions, at most %d", i + 1,
                         q->dimensions, AUTOSCALE_CLOUDWATCH_DIMENSIONS);
}

/* --- one page ------------------------------------------------------------ */

/* "com.amazonaws.cloudwatch#InvalidParameterValueException" */
static enum pr_code code_of(long status, const char *type)
{
    static const struct {
        const char *part;
        enum pr_code code;
    } row[] = {
        { "Throttl", PR_EUNAVAIL },       { "LimitExceeded", PR_EUNAVAIL },
        { "RequestExpired", PR_EDENIED }, { "Expired", PR_EDENIED },
        { "AccessDenied", PR_EDENIED },   { "UnrecognizedClient", PR_EDENIED },
        { "Signature", PR_EDENIED },      { "NotAuthorized", PR_EDENIED },
        { "ClientTokenId", PR_EDENIED },  { "Authentication", PR_EDENIED },
        { "OptInRequired", PR_EDENIED },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (strstr(type, row[i].part) != NULL)
            return row[i].code;
    if (status == 401 || status == 403)
        return PR_EDENIED;
    if (status == 429 || status >= 500)
        return PR_EUNAVAIL;
    return status == 400 ? PR_EINVAL : PR_EDATA;
}

static enum pr_code refused(long status, const json_t *root, struct pr_err *err)
{
    char type[80], said[SAID];
    const char *full = text_of(root, "__type"), *hash = strrchr(full, '#');
    const char *message = text_of(root, "message");
    autoscale_printable(type, sizeof type, hash == NULL ? full : hash + 1);
    autoscale_printable(said, sizeof said, message[0] == '\0' ? text_of(root, "Message") : message);
    return pr_fail(err, code_of(status, type), "%ld %s%s%s", status, type,
                   said[0] == '\0' ? "" : ": ", said);
}

static struct series *series_of(struct call *c, size_t query, const char *label)
{
    for (struct series *s = c->series; s != NULL; s = s->next)
        if (s->query == query && strcmp(s->label, label) == 0)
            return s;
    struct series *s = pr_arena_alloc(c->arena, sizeof *s);
    char *copy = pr_arena_strdup(c->arena, label);
    if (s == NULL || copy == NULL)
        return NULL;
    *s = (struct series){ .query = query, .label = copy };
    *c->end = s;
    c->end = &s->next;
    return s;
}

static bool add_point(struct call *c, struct series *s, double t, double v)
{
    if (s->n == s->cap) {
        const size_t cap = s->cap == 0 ? 32 : s->cap * 2;
        double *grown = pr_arena_alloc(c->arena, 2 * cap * sizeof *grown);
        if (grown == NULL)
            return false;
        if (s->n > 0) {
            memcpy(grown, s->t, s->n * sizeof *grown);
            memcpy(grown + cap, s->v, s->n * sizeof *grown);
        }
        s->t = grown;
        s->v = grown + cap;
        s->cap = cap;
    }
    s->t[s->n] = t;
    s->v[s->n++] = v;
    return true;
}

/* What the last page says of a series holds; a message once said stays. */
static enum pr_code read_series(struct call *c, const json_t *one, struct pr_err *err)
{
    const char *id = text_of(one, "Id");
    const json_t *t = json_object_get(one, "Timestamps"), *v = json_object_get(one, "Values");
    const size_t n = json_array_size(t);
    char *rest = NULL;
    const unsigned long q = id[0] == 'q' ? strtoul(id + 1, &rest, 10) : c->queries;
    if (q >= c->queries || rest == id + 1 || *rest != '\0')
        return pr_fail(err, PR_EDATA, "a result \"%.32s\" that nobody asked for", id);
    if (n != json_array_size(v))
        return pr_fail(err, PR_EDATA, "%zu times but %zu values of query %lu", n,
                       json_array_size(v), q + 1);

    struct series *s = series_of(c, q, text_of(one, "Label"));
    bool room = s != NULL;
    for (size_t i = 0; i < n && room; i++) {
        const json_t *at = json_array_get(t, i), *value = json_array_get(v, i);
        if (!json_is_number(at) || !json_is_number(value))
            return pr_fail(err, PR_EDATA, "a point of query %lu is no number", q + 1);
        room = add_point(c, s, json_number_value(at), json_number_value(value));
    }
    if (room) {
        char said[SAID];
        const json_t *first = json_array_get(json_object_get(one, "Messages"), 0);
        autoscale_printable(said, sizeof said, text_of(first, "Value"));
        s->status = pr_arena_strdup(c->arena, text_of(one, "StatusCode"));
        if (said[0] != '\0' || s->message == NULL)
            s->message = pr_arena_strdup(c->arena, said);
        room = s->status != NULL && s->message != NULL;
    }
    return room ? PR_OK : pr_fail(err, PR_ENOMEM, "no memory for the points of query %lu", q + 1);
}

static enum pr_code read_page(struct call *c, const json_t *root, struct pr_err *err)
{
    const json_t *results = json_object_get(root, "MetricDataResults"), *one;
    const char *token = text_of(root, "NextToken");
    enum pr_code rc = PR_OK;
    size_t i;
    if (!json_is_array(results))
        return pr_fail(err, PR_EDATA, "the answer has no MetricDataResults");
    json_array_foreach(results, i, one) if (rc == PR_OK) rc = read_series(c, one, err);
    if (rc != PR_OK)
        return rc;
    if (token[0] != '\0' && c->token != NULL && strcmp(token, c->token) == 0)
        return pr_fail(err, PR_EDATA, "a page names itself as the next one");
    c->token = token[0] == '\0' ? NULL : pr_arena_strdup(c->arena, token);
    return token[0] == '\0' || c->token != NULL ? PR_OK : pr_fail(err, PR_ENOMEM, "no memory");
}

static enum pr_code ask_page(struct call *c, struct pr_err *err)
{
    static const char *const header[] = {
        "Content-Type: application/x-amz-json-1.0",
        "X-Amz-Target: GraniteServiceVersion20100801.GetMetricData"
    };
    char *body = make_body(c);
    if (body == NULL)
        return pr_fail(err, PR_EINVAL, "a query is not UTF-8 text");
    const struct pr_web_request q = {
        .method = "POST",
        .url = c->at->url,
        .body = body,
        .header = header,
        .headers = PR_COUNT(header),
        .timeout_ms = (long)((c->until_us - pr_mono_us()) / 1000),
        .ca_file = c->at->ca_file,
        .sign = c->at->keys,
        .aws_region = c->at->region,
        .aws_service = "monitoring",
    };
    struct pr_web_response r;
    enum pr_code rc = pr_web_ask(&q, &r, err);
    free(body);
    if (rc != PR_OK)
        return rc;
    json_error_t where;
    json_t *root = json_loadb(r.body.data == NULL ? "" : r.body.data, r.body.len, 0, &where);
    if (r.status != 200)
        rc = refused(r.status, root, err);
    else if (root == NULL)
        rc = pr_fail(err, PR_EDATA, "not JSON: %.100s", where.text);
    else
        rc = read_page(c, root, err);
    json_decref(root);
    pr_buf_done(&r.body);
    return rc;
}

/* --- readings ------------------------------------------------------------ */

static struct autoscale_reading of_series(const struct call *c, size_t query, const char *label)
{
    const struct autoscale_cloudwatch_query *q = &c->query[query];
    struct autoscale_reading r = autoscale_reading_unknown();
    r.member = q->by_label ? label : q->member;
    r.at_ms = r.received_ms = c->when->now_ms;
    return r;
}

static enum pr_code add_unknown(const struct call *c, size_t query, const char *label,
                                const char *source, const char *why, struct autoscale_readings *out,
                                struct pr_err *err)
{
    struct autoscale_reading r = of_series(c, query, label);
    r.source = source;
    r.why = why;
    return autoscale_readings_add(out, &r, err);
}

static enum pr_code add_points(const struct call *c, const struct series *s, const char *source,
                               size_t *added, struct autoscale_readings *out, struct pr_err *err)
{
    const struct autoscale_cloudwatch_query *q = &c->query[s->query];
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < s->n && rc == PR_OK; i++) {
        const int64_t begin_ms = autoscale_seconds_to_ms(s->t[i]);
        const int64_t end_ms = begin_ms + q->period_s * INT64_C(1000);
        if (begin_ms < 0 || end_ms <= c->when->from_ms ||
            end_ms > c->when->now_ms - c->at->settle_ms)
            continue;
        struct autoscale_reading r = of_series(c, s->query, s->label);
        r.source = source;
        r.at_ms = r.received_ms = end_ms; /* CloudWatch had it then */
        r.value[q->metric] = s->v[i] * (q->scale == 0 ? 1 : q->scale);
        rc = autoscale_readings_add(out, &r, err);
        (*added)++;
    }
    return rc;
}

static const struct series *next_of(const struct series *s, size_t query)
{
    while (s != NULL && s->query != query)
        s = s->next;
    return s;
}

/* A query's series as readings: points, or one that says why there are none. */
static enum pr_code add_query(const struct call *c, size_t query, struct autoscale_readings *out,
                              struct pr_err *err)
{
    const struct autoscale_cloudwatch_query *q = &c->query[query];
    const struct series *first = next_of(c->series, query);
    enum pr_code rc = PR_OK;
    char source[48], why[SAID + 64];
    (void)snprintf(source, sizeof source, "cloudwatch %s", autoscale_metric_name(q->metric));
    if (first == NULL)
        return q->by_label ? PR_OK
                           : add_unknown(c, query, "", source, "no result for it", out, err);
    if (!q->by_label && next_of(first->next, query) != NULL)
        return add_unknown(c, query, "", source, "several series where one was wanted", out, err);
    for (const struct series *s = first; s != NULL && rc == PR_OK; s = next_of(s->next, query)) {
        size_t added = 0;
        if (strcmp(s->status, "Complete") != 0) {
            (void)snprintf(why, sizeof why, "%s%s%s",
                           s->status[0] == '\0' ? "no status" : s->status,
                           s->message[0] == '\0' ? "" : ": ", s->message);
            rc = add_unknown(c, query, s->label, source, why, out, err);
            continue;
        }
        rc = add_points(c, s, source, &added, out, err);
        if (rc == PR_OK && added == 0)
            rc = add_unknown(c, query, s->label, source, "no data points in this time", out, err);
    }
    return rc;
}

enum pr_code autoscale_collect_cloudwatch(const struct autoscale_cloudwatch *at,
                                          const struct autoscale_cloudwatch_query *query,
                                          size_t queries, const struct autoscale_span *when,
                                          struct autoscale_readings *out, struct pr_err *err)
{
    struct call c = { .at = at,
                      .query = query,
                      .queries = queries,
                      .when = when,
                      .arena = out->arena,
                      .until_us = pr_mono_us() + at->timeout_ms * INT64_C(1000) };
    const size_t before = out->n;
    int pages = 0;
    enum pr_code rc = PR_OK;
    c.end = &c.series;
    if (queries == 0)
        return PR_OK;
    if (queries > AUTOSCALE_CLOUDWATCH_QUERIES)
        return pr_fail(err, PR_EINVAL, "CloudWatch: %zu queries, at most %d", queries,
                       AUTOSCALE_CLOUDWATCH_QUERIES);
    for (size_t i = 0; i < queries && rc == PR_OK; i++)
        rc = check(&query[i], i, err);
    if (rc != PR_OK)
        return rc;
    do {
        rc = ++pages > AUTOSCALE_CLOUDWATCH_PAGES
                 ? pr_fail(err, PR_EDATA, "more than %d pages", AUTOSCALE_CLOUDWATCH_PAGES)
                 : ask_page(&c, err);
    } while (rc == PR_OK && c.token != NULL);
    for (size_t i = 0; i < queries && rc == PR_OK; i++)
        rc = add_query(&c, i, out, err);
    if (rc == PR_OK)
        return rc;
    out->n = before;
    return pr_wrap(err, rc, "CloudWatch at %.100s", at->url);
}
