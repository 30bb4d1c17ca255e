#include "proxy.h"

#include "prism/rng.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const NAME[FAULTS] = {
    [PASS] = "pass",         [SLOWDOWN] = "slowdown", [ERROR] = "error",
    [ERROR200] = "error200", [RESET] = "reset",       [STALL] = "stall",
    [DEAF] = "deaf",         [LOST] = "lost",         [DONE503] = "done503",
    [SILENCE] = "silence",   [TRUNCATE] = "truncate", [HANG] = "hang",
    [SLOW] = "slow",         [RANGE] = "range",       [WHOLE] = "whole",
    [CORRUPT] = "corrupt",   [ETAG] = "etag",         [GARBLE] = "garble",
};

const char *fault_name(enum fault f)
{
    return NAME[f];
}

static bool parse_faults(struct rule *r, char *word)
{
    char *rest = word, *one;

    while ((one = strsep(&rest, ",")) != NULL) {
        size_t f = 0;
        while (f < FAULTS && strcmp(NAME[f], one) != 0)
            f++;
        if (f == FAULTS || r->faults == FAULTS)
            return false;
        r->fault[r->faults++] = (enum fault)f;
    }
    return true;
}

static bool parse_text(const char *value, char *out, size_t room)
{
    return (size_t)snprintf(out, room, "%s", value) < room;
}

static bool parse_setting(struct rule *r, const char *name, const char *value)
{
    char *end = NULL;

    if (strcmp(name, "method") == 0)
        return parse_text(value, r->method, sizeof r->method);
    if (strcmp(name, "path") == 0)
        return parse_text(value, r->path, sizeof r->path);
    if (strcmp(name, "query") == 0)
        return parse_text(value, r->query, sizeof r->query);
    if (strcmp(name, "touch") == 0)
        return parse_text(value, r->touch, sizeof r->touch);
    if (strcmp(name, "when") == 0) {
        r->after = strcmp(value, "after") == 0;
        return r->after || strcmp(value, "before") == 0;
    }
    if (strcmp(name, "share") == 0) {
        r->share = strtod(value, &end);
        return *end == '\0';
    }
    const unsigned long long v = strtoull(value, &end, 10);
    if (*end != '\0' || end == value)
        return false;
    if (strcmp(name, "first") == 0)
        r->first = (unsigned)v;
    else if (strcmp(name, "times") == 0)
        r->times = (unsigned)v;
    else if (strcmp(name, "seed") == 0)
        r->seed = v;
    else if (strcmp(name, "at") == 0)
        r->at = (size_t)v;
    else if (strcmp(name, "ms") == 0)
        r->ms = (unsigned)v;
    else if (strcmp(name, "bps") == 0)
        r->bps = (unsigned)v;
    else if (strcmp(name, "pid") == 0)
        r->pid = (pid_t)v;
    else if (strcmp(name, "signal") == 0)
        r->signal = (int)v;
    else
        return false;
    return true;
}

const char *rules_parse(struct rules *r, char *text)
{
    char *lines = text, *line, *words, *word;

    while ((line = strsep(&lines, "\n")) != NULL) {
        line[strcspn(line, "#\r")] = '\0';
        words = line + strspn(line, " ");
        if (*words == '\0')
            continue;
        if (r->n == RULES)
            return "too many rules";
        struct rule *one = &r->rule[r->n];
        *one = (struct rule){
            .first = 1, .share = 1, .at = SIZE_MAX, .ms = 30000, .bps = 1000, .signal = SIGKILL
        };
        if (!parse_faults(one, strsep(&words, " ")))
            return "a fault that is none";
        while ((word = strsep(&words, " ")) != NULL) {
            char *value = strchr(word, '=');
            if (*word == '\0')
                continue;
            if (value == NULL)
                return "a setting without a value";
            *value++ = '\0';
            if (!parse_setting(one, word, value))
                return "a setting that is none";
        }
        r->n++;
    }
    return "";
}

void rules_done(struct rules *r)
{
    pr_map_done(&r->seen);
    *r = (struct rules){ 0 };
}

static uint64_t hash_text(uint64_t h, const char *s)
{
    for (; *s != '\0'; s++)
        h = pr_mix64(h ^ (uint64_t)(unsigned char)*s);
    return h;
}

/* Of this request, and of how often it has come. */
static uint64_t occurrence(struct rules *r, const char *method, const char *path)
{
    const uint64_t h = hash_text(hash_text(0, method), path);
    uint64_t n = 0;

    (void)pr_map_get(&r->seen, h, &n);
    if (pr_map_put(&r->seen, h, n + 1) != PR_OK)
        abort();
    return pr_mix64(h + n);
}

static bool matches(const struct rule *r, const char *method, const char *path, const char *query)
{
    return (r->method[0] == '\0' || strcmp(r->method, method) == 0) &&
           strstr(path, r->path) != NULL && strstr(query, r->query) != NULL;
}

struct verdict rules_judge(struct rules *r, const char *method, const char *path, const char *query)
{
    const uint64_t which = occurrence(r, method, path);

    for (size_t i = 0; i < r->n; i++) {
        struct rule *one = &r->rule[i];
        struct pr_rng rng;

        if (!matches(one, method, path, query) || ++one->matched < one->first ||
            (one->times > 0 && one->hit >= one->times))
            continue;
        pr_rng_init(&rng, one->seed ^ which);
        if (pr_rng_unit(&rng) >= one->share)
            continue;
        one->hit++;
        const size_t f = (size_t)pr_rng_below(&rng, one->faults);
        return (struct verdict){ one->fault[f], *one, pr_rng_next(&rng) };
    }
    return (struct verdict){ .fault = PASS };
}
