#include "cli/cases_hpa.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool listed(const char *list, const char *name)
{
    const size_t len = strlen(name);
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += len)
        if ((at == list || at[-1] == ' ') && at[len] == ' ')
            return true;
    return false;
}

void hpa_known(const json_t *o, const char *where, const char *known, struct pr_buf *diff)
{
    if (!json_is_object(o)) {
        pr_buf_printf(diff, "%s: no object\n", where);
        return;
    }
    const char *name;
    json_t *v;
    json_object_foreach(
        (json_t *)o, name,
        v) if (!listed(known, name) &&
               !(*where == '\0' &&
                 listed("id kind name source expect derived note informative ", name)))
        pr_buf_printf(diff, "%s%sfield \"%s\" is not understood\n", where,
                      *where == '\0' ? "" : ": ", name);
}

bool hpa_number(const json_t *v, int64_t *out)
{
    if (json_is_integer(v)) {
        *out = json_integer_value(v);
        return true;
    }
    if (!json_is_real(v))
        return false;
    const double d = json_real_value(v);
    if (d != floor(d) || fabs(d) > 9e15)
        return false;
    *out = (int64_t)d;
    return true;
}

static bool given(const json_t *o, const char *name, const json_t **v)
{
    *v = json_object_get(o, name);
    return *v != NULL && !json_is_null(*v);
}

int64_t hpa_int_or(const json_t *o, const char *name, int64_t otherwise, struct pr_buf *diff)
{
    const json_t *v;
    int64_t n = otherwise;
    if (given(o, name, &v) && !hpa_number(v, &n))
        pr_buf_printf(diff, "%s: no whole number\n", name);
    return n;
}

int64_t hpa_int(const json_t *o, const char *name, struct pr_buf *diff)
{
    const json_t *v;
    if (!given(o, name, &v))
        pr_buf_printf(diff, "%s is missing\n", name);
    return hpa_int_or(o, name, 0, diff);
}

int32_t hpa_int32(const json_t *o, const char *name, struct pr_buf *diff)
{
    const int64_t n = hpa_int(o, name, diff);
    if (n >= INT32_MIN && n <= INT32_MAX)
        return (int32_t)n;
    pr_buf_printf(diff, "%s is %lld, want 32 bits\n", name, (long long)n);
    return 0;
}

double hpa_real_or(const json_t *o, const char *name, double otherwise, struct pr_buf *diff)
{
    const json_t *v;
    if (!given(o, name, &v))
        return otherwise;
    if (!json_is_number(v))
        pr_buf_printf(diff, "%s: no number\n", name);
    return json_number_value(v);
}

bool hpa_flag(const json_t *v, const char *name, bool otherwise, struct pr_buf *diff)
{
    if (v == NULL || json_is_null(v))
        return otherwise;
    if (!json_is_boolean(v))
        pr_buf_printf(diff, "%s: neither true nor false\n", name);
    return json_is_true(v);
}

bool hpa_bool_or(const json_t *o, const char *name, bool otherwise, struct pr_buf *diff)
{
    return hpa_flag(json_object_get(o, name), name, otherwise, diff);
}

int64_t hpa_ago_or(const json_t *o, const char *name, int64_t otherwise, struct pr_buf *diff)
{
    const json_t *v;
    if (!given(o, name, &v))
        return otherwise;
    const double s = json_number_value(v);
    if (!json_is_number(v) || !(fabs(s) < 1e12)) {
        pr_buf_printf(diff, "%s: no number of seconds\n", name);
        return otherwise;
    }
    return -(int64_t)floor(s * 1000 + 0.5);
}

const json_t *hpa_array(const json_t *o, const char *name, struct pr_buf *diff)
{
    const json_t *v;
    if (!given(o, name, &v))
        return NULL;
    if (!json_is_array(v)) {
        pr_buf_printf(diff, "%s: no list\n", name);
        return NULL;
    }
    return v;
}

struct autoscale_hpa_tolerance hpa_tolerance(const json_t *one, struct pr_buf *diff)
{
    const double both = hpa_real_or(one, "tolerance", 0.1, diff);
    return (struct autoscale_hpa_tolerance){ hpa_real_or(one, "tolerance_down", both, diff),
                                             hpa_real_or(one, "tolerance_up", both, diff) };
}

static void read_rule(const json_t *v, struct autoscale_hpa_rule *out, struct pr_buf *diff)
{
    hpa_known(v, "policy", "type value period_s ", diff);
    const char *type = json_string_value(json_object_get(v, "type"));
    if (type != NULL && strcmp(type, "Pods") == 0)
        out->type = AUTOSCALE_HPA_PODS;
    else if (type != NULL && strcmp(type, "Percent") == 0)
        out->type = AUTOSCALE_HPA_PERCENT;
    else
        pr_buf_printf(diff, "policy type \"%s\" is not understood\n", type != NULL ? type : "");
    out->value = hpa_int32(v, "value", diff);
    out->period_s = hpa_int32(v, "period_s", diff);
}

struct autoscale_hpa_rules hpa_rules(const json_t *rules, const char *where,
                                     struct autoscale_hpa_rules otherwise, struct pr_buf *diff)
{
    struct autoscale_hpa_rules r = otherwise;
    if (rules == NULL || json_is_null(rules))
        return r;
    hpa_known(rules, where, "stabilization_s select policies tolerance ", diff);
    r.stabilization_s =
        (int32_t)hpa_int_or(rules, "stabilization_s", otherwise.stabilization_s, diff);
    const json_t *v;
    if (given(rules, "select", &v)) {
        const char *select = json_is_string(v) ? json_string_value(v) : "";
        if (strcmp(select, "Max") == 0)
            r.select = AUTOSCALE_HPA_MAX;
        else if (strcmp(select, "Min") == 0)
            r.select = AUTOSCALE_HPA_MIN;
        else if (strcmp(select, "Disabled") == 0)
            r.select = AUTOSCALE_HPA_DISABLED;
        else
            pr_buf_printf(diff, "%s: select \"%s\" is not understood\n", where, select);
    }
    const json_t *policies = hpa_array(rules, "policies", diff);
    if (policies == NULL)
        return r;
    r.rules = 0;
    size_t i;
    json_array_foreach(policies, i, v) if (i < AUTOSCALE_HPA_RULES)
        read_rule(v, &r.rule[r.rules++], diff);
    if (json_array_size(policies) > AUTOSCALE_HPA_RULES)
        pr_buf_printf(diff, "%s: more than %d policies\n", where, AUTOSCALE_HPA_RULES);
    return r;
}

void hpa_entries(const json_t *array, const char *where, struct autoscale_hpa_log *log,
                 struct pr_buf *diff)
{
    size_t i;
    json_t *v;
    log->n = 0;
    json_array_foreach((json_t *)array, i, v)
    {
        hpa_known(v, where, "change value age_s outdated ", diff);
        if (log->n == log->cap) {
            pr_buf_printf(diff, "%s: more than %d entries\n", where, log->cap);
            return;
        }
        const bool change = json_object_get(v, "change") != NULL;
        log->entry[log->n++] = (struct autoscale_hpa_entry){
            .at_ms = hpa_ago_or(v, "age_s", 0, diff),
            .value = hpa_int32(v, change ? "change" : "value", diff),
            .outdated = hpa_bool_or(v, "outdated", false, diff),
        };
    }
}

const json_t *hpa_expect(const json_t *one, const char *known, struct pr_buf *diff)
{
    const json_t *expect = json_object_get(one, "expect");
    if (!json_is_object(expect) || json_object_size(expect) == 0)
        pr_buf_str(diff, "expect is missing\n");
    else
        hpa_known(expect, "expect", known, diff);
    return expect;
}

void hpa_want_int(const json_t *expect, const char *name, int64_t got, struct pr_buf *diff)
{
    const json_t *v = json_object_get(expect, name);
    int64_t want;
    if (v == NULL)
        pr_buf_printf(diff, "expect: %s is missing\n", name);
    else if (!hpa_number(v, &want))
        pr_buf_printf(diff, "expect: %s: no whole number\n", name);
    else if (want != got)
        pr_buf_printf(diff, "%s: got %lld, want %lld\n", name, (long long)got, (long long)want);
}

void hpa_want_string(const json_t *expect, const char *name, const char *got, struct pr_buf *diff)
{
    const char *want = json_string_value(json_object_get(expect, name));
    if (want == NULL)
        pr_buf_printf(diff, "expect: %s is missing\n", name);
    else if (strcmp(want, got) != 0)
        pr_buf_printf(diff, "%s: got %s, want %s\n", name, got, want);
}

bool hpa_want_rc(const json_t *expect, enum pr_code rc, const struct pr_err *err,
                 struct pr_buf *diff)
{
    const json_t *error = json_object_get(expect, "error");
    const char *want = json_string_value(error);
    if (want == NULL && rc == PR_OK)
        return true;
    if (want == NULL)
        pr_buf_printf(diff, "error: got \"%s\", want none\n", err->text);
    else if (rc == PR_OK)
        pr_buf_printf(diff, "error: got none, want \"%s\"\n", want);
    else if (strstr(err->text, want) == NULL)
        pr_buf_printf(diff, "error: got \"%s\", want \"%s\"\n", err->text, want);
    return false;
}
