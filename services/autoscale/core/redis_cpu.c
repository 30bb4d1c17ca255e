#include "core/redis_cpu.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- one answer ---------------------------------------------------------- */

/* The value of "name:" at the beginning of a line; NULL: there is none. */
static const char *value_of(const char *text, const char *name)
{
    const size_t n = strlen(name);
    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, name, n) == 0 && line[n] == ':')
            return line + n + 1;
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    return NULL;
}

/* NAN: absent, not a number, or one that no counter can have. */
static double number_of(const char *text, const char *name)
{
    const char *at = value_of(text, name);
    char *end = NULL;
    if (at == NULL || !((*at >= '0' && *at <= '9') || *at == '.'))
        return NAN;
    const double v = strtod(at, &end);
    return end != at && (*end == '\r' || *end == '\n' || *end == '\0') && v <= 1e18 ? v : NAN;
}

enum pr_code autoscale_redis_info_parse(const char *text, int64_t at_us,
                                        struct autoscale_redis_info *out, struct pr_err *err)
{
    const char *run_id = value_of(text, "run_id");
    const size_t n = run_id == NULL ? 0 : strspn(run_id, "0123456789abcdef");
    if (n == 0 || n >= sizeof out->run_id)
        return pr_fail(err, PR_EDATA, "INFO: run_id is missing or no hexadecimal number");

    const double server_us = number_of(text, "server_time_usec");
    const double loading = number_of(text, "loading");
    struct autoscale_redis_info got = {
        .at_us = at_us,
        .server_us = isnan(server_us) ? 0 : (int64_t)server_us,
        .cpu_s = number_of(text, "used_cpu_sys") + number_of(text, "used_cpu_user"),
        .main_cpu_s = number_of(text, "used_cpu_sys_main_thread") +
                      number_of(text, "used_cpu_user_main_thread"),
        .used_bytes = number_of(text, "used_memory"),
        .max_bytes = number_of(text, "maxmemory"),
        .data_bytes = number_of(text, "used_memory_dataset"),
        .rss_bytes = number_of(text, "used_memory_rss"),
        .host_bytes = number_of(text, "total_system_memory"),
        .in_bytes = number_of(text, "total_net_input_bytes"),
        .out_bytes = number_of(text, "total_net_output_bytes"),
        .loading = !isnan(loading) && loading > 0,
    };
    memcpy(got.run_id, run_id, n);
    const struct {
        const char *name;
        double value;
    } needed[] = { { "used_cpu_sys or used_cpu_user", got.cpu_s },
                   { "used_memory", got.used_bytes },
                   { "total_net_input_bytes", got.in_bytes },
                   { "total_net_output_bytes", got.out_bytes } };
    for (size_t i = 0; i < PR_COUNT(needed); i++)
        if (isnan(needed[i].value))
            return pr_fail(err, PR_EDATA, "INFO: %s is missing or no number", needed[i].name);
    *out = got;
    return PR_OK;
}

/* --- two answers --------------------------------------------------------- */

/* The time between two answers. An answer may have waited on its way to us; the server's
 * own clock is free of that, unless somebody has set it meanwhile. */
static double span_us(const struct autoscale_redis_info *a, const struct autoscale_redis_info *b)
{
    const double ours = (double)(b->at_us - a->at_us);
    const double theirs = (double)(b->server_us - a->server_us);
    const double slack = fmax(1e6, ours * 0.1);
    const bool trusted =
        a->server_us > 0 && b->server_us > 0 && theirs > 0 && fabs(theirs - ours) <= slack;
    return trusted ? theirs : ours;
}

static bool went_back(const struct autoscale_redis_info *a, const struct autoscale_redis_info *b)
{
    return b->cpu_s < a->cpu_s || b->main_cpu_s < a->main_cpu_s || b->in_bytes < a->in_bytes ||
           b->out_bytes < a->out_bytes;
}

/* Why two answers cannot be compared; NULL: they can. */
static const char *apart(const struct autoscale_redis_info *a, const struct autoscale_redis_info *b)
{
    if (a == NULL)
        return "the first answer: CPU and network need two";
    if (strcmp(a->run_id, b->run_id) != 0)
        return "restarted since the last answer: its counters began anew";
    if (went_back(a, b))
        return "its counters went back";
    const double span = span_us(a, b);
    if (span < AUTOSCALE_REDIS_SPAN_MIN_MS * 1e3)
        return "less than a second since the last answer";
    return span > AUTOSCALE_REDIS_SPAN_MAX_MS * 1e3 ? "its last answer is more than 5 minutes old"
                                                    : NULL;
}

/* The larger share; NAN: neither is known. */
static double larger(double a, double b)
{
    return isnan(a) || b > a ? b : a;
}

static double cpu_pct(const struct autoscale_redis_info *a, const struct autoscale_redis_info *b,
                      double vcpus)
{
    const double s = span_us(a, b) / 1e6;
    const double all = (b->cpu_s - a->cpu_s) * 100 / s;
    const double main = (b->main_cpu_s - a->main_cpu_s) * 100 / s; /* NAN before Redis 6.2 */
    if (vcpus > 0)
        return larger(main, all / vcpus);
    return isnan(main) ? all : main; /* one thread then, or nearly */
}

/* NAN: neither the server nor anybody else knows a limit. */
static double memory_pct(const struct autoscale_redis_info *i,
                         const struct autoscale_redis_host *host)
{
    if (i->max_bytes > 0)
        return fmin(i->used_bytes / i->max_bytes * 100, 100);
    /* A number that is known goes before one that is not (fmin, fmax). */
    const double limit = fmin(host->memory_gb > 0 ? host->memory_gb * 1073741824.0 : NAN,
                              i->host_bytes > 0 ? i->host_bytes : NAN);
    return limit > 0 ? fmin(fmax(i->used_bytes, i->rss_bytes) / limit * 100, 100) : NAN;
}

void autoscale_redis_load(const struct autoscale_redis_info *before,
                          const struct autoscale_redis_info *after,
                          const struct autoscale_redis_host *host, struct autoscale_redis_load *out)
{
    *out = (struct autoscale_redis_load){
        .cpu_pct = NAN, .memory_pct = NAN, .network_bps = NAN, .data_bytes = NAN
    };
    if (after->loading) {
        (void)snprintf(out->why, sizeof out->why, "loads its data from disk, serves nobody yet");
        return;
    }
    out->memory_pct = memory_pct(after, host);
    out->data_bytes = after->data_bytes;

    const char *why = apart(before, after);
    if (why == NULL) {
        const double s = span_us(before, after) / 1e6;
        const double cpu = cpu_pct(before, after, host->vcpus);
        out->network_bps =
            larger(after->in_bytes - before->in_bytes, after->out_bytes - before->out_bytes) * 8 /
            s;
        if (cpu <= AUTOSCALE_CPU_NOISE_PCT)
            out->cpu_pct = fmin(cpu, 100);
        else
            (void)snprintf(out->why, sizeof out->why,
                           "CPU: %.0f %% in %.1f s cannot be (host's vCPUs: %g)", cpu, s,
                           host->vcpus);
    } else {
        (void)snprintf(out->why, sizeof out->why, "%s", why);
    }
    if (isnan(out->memory_pct) && out->why[0] == '\0')
        (void)snprintf(out->why, sizeof out->why,
                       "memory: neither maxmemory nor the host's is known");
}
