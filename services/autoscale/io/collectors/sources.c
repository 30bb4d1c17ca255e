#include "io/collectors/sources.h"

#include "json/fields.h"

#include <stdio.h>
#include <string.h>

#define F(type, member) #member, .at = offsetof(type, member)

static const char *const metrics[AUTOSCALE_METRICS] = {
    [AUTOSCALE_CPU] = "cpu",         [AUTOSCALE_MEMORY] = "memory", [AUTOSCALE_NETWORK] = "network",
    [AUTOSCALE_BACKLOG] = "backlog", [AUTOSCALE_LOAD] = "load",
};

static const char *const kinds[AUTOSCALE_SOURCE_KINDS] = {
    [AUTOSCALE_SOURCE_REDIS] = "redis",
    [AUTOSCALE_SOURCE_PROMETHEUS] = "prometheus",
    [AUTOSCALE_SOURCE_CLOUDWATCH] = "cloudwatch",
    [AUTOSCALE_SOURCE_JETSTREAM] = "jetstream",
    [AUTOSCALE_SOURCE_BUS] = "bus",
};

const char *autoscale_source_kind_name(enum autoscale_source_kind k)
{
    return (unsigned)k < AUTOSCALE_SOURCE_KINDS ? kinds[k] : "?";
}

#define R(member) F(struct autoscale_redis_host, member)
static const struct field redis_rows[] = {
    { R(vcpus), .kind = FIELD_REAL, .lo = 0, .hi = 4096 },
    { R(memory_gb), .kind = FIELD_REAL, .lo = 0, .hi = 1e6 },
};

#define P(member) F(struct autoscale_prometheus_query, member)
static const struct field prometheus_rows[] = {
    { P(query), .kind = FIELD_WORDS, .flags = FIELD_NEEDED },
    { P(metric), .kind = FIELD_NAME, .flags = FIELD_NEEDED, .names = metrics,
      .cap = PR_COUNT(metrics) },
    { P(scale), .kind = FIELD_REAL, .lo = 1e-15, .hi = 1e15 },
    { P(member_label), .kind = FIELD_WORDS },
    { P(zone_label), .kind = FIELD_WORDS },
    { P(step_ms), .kind = FIELD_I64, .lo = 0, .hi = 3600000 },
};

#define D(member) F(struct autoscale_cloudwatch_dimension, member)
static const struct field dimension_rows[] = {
    { D(name), .kind = FIELD_WORDS, .flags = FIELD_NEEDED },
    { D(value), .kind = FIELD_WORDS, .flags = FIELD_NEEDED },
};
static const struct field_table dimension_fields =
    FIELD_TABLE(dimension_rows, struct autoscale_cloudwatch_dimension, NULL);

#define C(member) F(struct autoscale_cloudwatch_query, member)
static const struct field cloudwatch_rows[] = {
    { C(expression), .kind = FIELD_WORDS },
    { C(ns), .kind = FIELD_WORDS },
    { C(name), .kind = FIELD_WORDS },
    { C(stat), .kind = FIELD_WORDS },
    { C(dimension), .kind = FIELD_ARRAY, .cap = AUTOSCALE_CLOUDWATCH_DIMENSIONS,
      .count = offsetof(struct autoscale_cloudwatch_query, dimensions), .count_is = COUNT_SIZE,
      .of = &dimension_fields },
    { C(period_s), .kind = FIELD_INT, .lo = 60, .hi = 3600 },
    { C(metric), .kind = FIELD_NAME, .flags = FIELD_NEEDED, .names = metrics,
      .cap = PR_COUNT(metrics) },
    { C(scale), .kind = FIELD_REAL, .lo = 1e-15, .hi = 1e15 },
    { C(member), .kind = FIELD_WORDS },
    { C(by_label), .kind = FIELD_BOOL },
};

#define J(member) F(struct autoscale_jetstream, member)
static const struct field jetstream_rows[] = {
    { J(stream), .kind = FIELD_WORDS, .flags = FIELD_NEEDED },
    { J(consumer), .kind = FIELD_WORDS, .flags = FIELD_NEEDED },
};

static const struct field_table tables[AUTOSCALE_SOURCE_KINDS] = {
    [AUTOSCALE_SOURCE_REDIS] = FIELD_TABLE(redis_rows, struct autoscale_redis_host, NULL),
    [AUTOSCALE_SOURCE_PROMETHEUS] =
        FIELD_TABLE(prometheus_rows, struct autoscale_prometheus_query, NULL),
    [AUTOSCALE_SOURCE_CLOUDWATCH] =
        FIELD_TABLE(cloudwatch_rows, struct autoscale_cloudwatch_query, NULL),
    [AUTOSCALE_SOURCE_JETSTREAM] = FIELD_TABLE(jetstream_rows, struct autoscale_jetstream, NULL),
    [AUTOSCALE_SOURCE_BUS] = { NULL, 0, 0, NULL },
};

static void set_defaults(struct autoscale_source *s)
{
    if (s->kind == AUTOSCALE_SOURCE_PROMETHEUS)
        s->is.prometheus =
            (struct autoscale_prometheus_query){ .scale = 1, .member_label = "", .zone_label = "" };
    if (s->kind == AUTOSCALE_SOURCE_CLOUDWATCH)
        s->is.cloudwatch =
            (struct autoscale_cloudwatch_query){ .scale = 1, .period_s = 60, .member = "" };
}

static enum pr_code read_kind(struct field_ctx *c, const json_t *o, enum autoscale_source_kind *to)
{
    const char *name = json_string_value(json_object_get(o, "kind"));
    for (int k = 0; name != NULL && k < AUTOSCALE_SOURCE_KINDS; k++)
        if (strcmp(kinds[k], name) == 0) {
            *to = (enum autoscale_source_kind)k;
            return PR_OK;
        }
    return field_bad(c, "want an object with \"kind\": redis, prometheus, cloudwatch, jetstream or "
                        "bus");
}

/* What the tables cannot say. */
static enum pr_code check(struct field_ctx *c, const struct autoscale_source *s)
{
    const struct autoscale_cloudwatch_query *q = &s->is.cloudwatch;
    if (s->kind != AUTOSCALE_SOURCE_CLOUDWATCH)
        return PR_OK;
    const int named = (q->ns != NULL) + (q->name != NULL) + (q->stat != NULL);
    if (named != (q->expression != NULL ? 0 : 3))
        return field_bad(c, "want either expression, or ns, name and stat");
    return q->period_s % 60 == 0 ? PR_OK : field_bad(c, "period_s is not whole minutes");
}

static enum pr_code read_source(struct field_ctx *c, const json_t *o, struct autoscale_source *to)
{
    *to = (struct autoscale_source){ .kind = AUTOSCALE_SOURCE_REDIS };
    enum pr_code rc = read_kind(c, o, &to->kind);
    if (rc != PR_OK)
        return rc;
    set_defaults(to);
    rc = fields_read(c, &tables[to->kind], o, "kind", &to->is);
    return rc == PR_OK ? check(c, to) : rc;
}

enum pr_code autoscale_sources_read(const json_t *array, const char *path, struct pr_arena *arena,
                                    struct autoscale_sources *out, struct pr_err *err)
{
    struct field_ctx c = { .arena = arena, .err = err };
    const size_t n = json_array_size(array);
    bool redis = false;
    out->n = 0;
    (void)snprintf(c.path, sizeof c.path, "%.80s", path);
    if (!json_is_array(array) || n > AUTOSCALE_SOURCES)
        return field_bad(&c, "want an array of at most %d sources", AUTOSCALE_SOURCES);
    for (size_t i = 0; i < n; i++) {
        const size_t at = field_enter(&c, NULL, i);
        enum pr_code rc = read_source(&c, json_array_get(array, i), &out->source[i]);
        if (rc == PR_OK && out->source[i].kind == AUTOSCALE_SOURCE_REDIS) {
            if (redis) /* there is one cluster, and one memory of its answers */
                rc = field_bad(&c, "redis is named twice");
            redis = true;
        }
        if (rc != PR_OK)
            return rc;
        field_leave(&c, at);
    }
    out->n = n;
    return PR_OK;
}
