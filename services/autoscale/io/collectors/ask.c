/* Asking all sources of a fleet (io/collectors/sources.h). */
#include "io/collectors/sources.h"

#include "prism/io/clock.h"

#include <stdio.h>

struct call {
    const struct autoscale_endpoints *at;
    const struct autoscale_span *when;
    struct autoscale_redis_memory *memory;
    struct autoscale_readings *out;
};

static enum pr_code not_configured(enum autoscale_source_kind kind, struct pr_err *err)
{
    return pr_fail(err, PR_EINVAL, "%s is not configured for this service",
                   autoscale_source_kind_name(kind));
}

static enum pr_code ask_redis(const struct call *c, const struct autoscale_source *s,
                              struct pr_err *err)
{
    if (c->at->redis == NULL)
        return not_configured(s->kind, err);
    struct autoscale_redis from = *c->at->redis;
    from.host = s->is.redis;
    return autoscale_collect_redis(&from, c->when, c->memory, c->out, err);
}

/* Of a failed source too: somebody was asked and did not say. Without memory for even that,
 * nothing is there to be merged, which is unknown as well. */
static void add_unknown(const struct call *c, const struct autoscale_source *s, const char *why)
{
    struct autoscale_reading r = autoscale_reading_unknown();
    const char *kind = autoscale_source_kind_name(s->kind);
    char source[48];
    (void)snprintf(source, sizeof source, "%s", kind);
    if (s->kind == AUTOSCALE_SOURCE_PROMETHEUS)
        (void)snprintf(source, sizeof source, "%s %s", kind,
                       autoscale_metric_name(s->is.prometheus.metric));
    if (s->kind == AUTOSCALE_SOURCE_CLOUDWATCH)
        (void)snprintf(source, sizeof source, "%s %s", kind,
                       autoscale_metric_name(s->is.cloudwatch.metric));
    r.source = source;
    r.at_ms = r.received_ms = c->when->now_ms;
    r.why = why;
    if (autoscale_readings_add(c->out, &r, NULL) != PR_OK)
        (void)snprintf(c->out->note, sizeof c->out->note, "%s: no memory", source);
}

static enum pr_code ask(const struct call *c, const struct autoscale_source *s, struct pr_err *err)
{
    struct autoscale_jetstream js;
    switch (s->kind) {
    case AUTOSCALE_SOURCE_REDIS:
        return ask_redis(c, s, err);
    case AUTOSCALE_SOURCE_PROMETHEUS:
        return c->at->prometheus == NULL
                   ? not_configured(s->kind, err)
                   : autoscale_collect_prometheus(c->at->prometheus, &s->is.prometheus, c->when,
                                                  c->out, err);
    case AUTOSCALE_SOURCE_JETSTREAM:
        if (c->at->bus == NULL)
            return not_configured(s->kind, err);
        js = s->is.jetstream;
        js.timeout_ms = c->at->bus_timeout_ms;
        return autoscale_collect_jetstream(c->at->bus, &js, c->when, c->out, err);
    case AUTOSCALE_SOURCE_CLOUDWATCH: /* ask_cloudwatch */
    case AUTOSCALE_SOURCE_BUS:
    case AUTOSCALE_SOURCE_KINDS:
        break;
    }
    return PR_OK;
}

/* All queries in one request; what came of it is said of each. */
static void ask_cloudwatch(const struct call *c, const struct autoscale_sources *sources,
                           struct autoscale_asked *asked)
{
    struct autoscale_cloudwatch_query *query =
        pr_arena_alloc(c->out->arena, AUTOSCALE_SOURCES * sizeof *query);
    struct autoscale_asked one = { .rc = PR_OK };
    size_t n = 0;
    const size_t before = c->out->n;
    const int64_t begun_us = pr_mono_us();
    for (size_t i = 0; i < sources->n && query != NULL; i++)
        if (sources->source[i].kind == AUTOSCALE_SOURCE_CLOUDWATCH)
            query[n++] = sources->source[i].is.cloudwatch;
    if (query == NULL)
        one.rc = pr_fail(&one.err, PR_ENOMEM, "no memory to ask CloudWatch");
    else if (n == 0)
        return;
    else if (c->at->cloudwatch == NULL)
        one.rc = not_configured(AUTOSCALE_SOURCE_CLOUDWATCH, &one.err);
    else
        one.rc =
            autoscale_collect_cloudwatch(c->at->cloudwatch, query, n, c->when, c->out, &one.err);
    one.readings = c->out->n - before;
    one.took_us = pr_mono_us() - begun_us;
    for (size_t i = 0; i < sources->n; i++)
        if (sources->source[i].kind == AUTOSCALE_SOURCE_CLOUDWATCH)
            asked[i] = one;
}

size_t autoscale_collect(const struct autoscale_endpoints *at,
                         const struct autoscale_sources *sources, const struct autoscale_span *when,
                         struct autoscale_redis_memory *memory, struct autoscale_readings *out,
                         struct autoscale_asked asked[AUTOSCALE_SOURCES])
{
    const struct call c = { at, when, memory, out };
    size_t failed = 0;
    ask_cloudwatch(&c, sources, asked);
    for (size_t i = 0; i < sources->n; i++) {
        const struct autoscale_source *s = &sources->source[i];
        const size_t before = out->n;
        if (s->kind != AUTOSCALE_SOURCE_CLOUDWATCH) {
            const int64_t begun_us = pr_mono_us();
            asked[i] = (struct autoscale_asked){ .rc = PR_OK };
            asked[i].rc = ask(&c, s, &asked[i].err);
            asked[i].readings = out->n - before;
            asked[i].took_us = pr_mono_us() - begun_us;
        }
        if (asked[i].rc == PR_OK)
            continue;
        failed++;
        if (out->n == before) /* JetStream has said so itself */
            add_unknown(&c, s, asked[i].err.text);
    }
    return failed;
}
