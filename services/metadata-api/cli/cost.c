/* prismctl cost: what a fleet costs a month, line by line, beside what somebody else says it costs.
 * Counts and prices come from a file, or are those of the reference fleet. Calls nobody. */
#include "ctl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NUMBERS = 6 };

/* The reference fleet: 1,000 Redis nodes, 1,000 proxies, 1.4 TB/s. Prices: AWS, us-west-2. */
static const char reference_fleet[] =
    "{\"hoursPerMonth\": 730, \"daysPerMonth\": 30, \"lines\": ["
    "{\"name\": \"Redis nodes\", \"kind\": \"hourly\", \"count\": 1000, \"usdPerHour\": 1.008,"
    " \"reference\": 752840, \"why\": \"1,000 x 1.008 x 730 was multiplied wrong\"},"
    "{\"name\": \"proxies\", \"kind\": \"hourly\", \"count\": 1000, \"usdPerHour\": 0.17,"
    " \"reference\": 124100},"
    "{\"name\": \"EKS\", \"kind\": \"hourly\", \"count\": 1, \"usdPerHour\": 0.1, \"reference\": "
    "73},"
    "{\"name\": \"disks\", \"kind\": \"storage\", \"count\": 1000, \"gbEach\": 200,"
    " \"usdPerGbMonth\": 0.08, \"reference\": 16000},"
    "{\"name\": \"NLB\", \"kind\": \"balancer\", \"count\": 1, \"usdPerHour\": 0.0225,"
    " \"usdPerLcuHour\": 0.006, \"bytesPerS\": 2.8e12, \"reference\": 43562,"
    " \"why\": \"terabytes were taken for gigabytes: an LCU is 1 GB an hour\"},"
    "{\"name\": \"ALB\", \"kind\": \"balancer\", \"count\": 1, \"usdPerHour\": 0.0225,"
    " \"usdPerLcuHour\": 0.008, \"lcus\": 10, \"reference\": 17,"
    " \"why\": \"its 10 LCUs are per hour and were left out\"},"
    "{\"name\": \"VPC endpoints\", \"kind\": \"monthly\", \"usdPerMonth\": 253, \"reference\": "
    "253},"
    "{\"name\": \"NAT\", \"kind\": \"hourly\", \"count\": 3, \"usdPerHour\": 0.045,"
    " \"reference\": 98, \"why\": \"the cents were cut off\"},"
    "{\"name\": \"traffic between zones\", \"kind\": \"transfer\", \"bytesPerS\": 1.4e12,"
    " \"crossShare\": 0.05, \"usdPerGb\": 0.01, \"billedSides\": 1, \"reference\": 1814,"
    " \"why\": \"terabytes were taken for gigabytes; where both sides are billed it is twice "
    "that\"}]}";

/* What a month is, for all lines. */
struct month {
    double hours, seconds;
};

/* Numbers of a kind, in this order; "lcus" or "bytesPerS", never both, stands for itself. */
struct kind {
    const char *name, *number[MAX_NUMBERS];
    double (*usd)(const double *n, const struct month *m);
    void (*how)(const double *n, const struct month *m, char *out, size_t cap);
};

static double hourly_usd(const double *n, const struct month *m)
{
    return n[0] * n[1] * m->hours;
}
static void hourly_how(const double *n, const struct month *m, char *out, size_t cap)
{
    snprintf(out, cap, "%.10g x $%.10g x %.10g h", n[0], n[1], m->hours);
}
static double storage_usd(const double *n, const struct month *m)
{
    (void)m;
    return n[0] * n[1] * n[2];
}
static void storage_how(const double *n, const struct month *m, char *out, size_t cap)
{
    (void)m;
    snprintf(out, cap, "%.10g x %.10g GB x $%.10g", n[0], n[1], n[2]);
}
static double lcu_usd(const double *n, const struct month *m)
{
    return n[0] * n[1] * m->hours + n[3] * n[2] * m->hours;
}
static void lcu_how(const double *n, const struct month *m, char *out, size_t cap)
{
    snprintf(out, cap, "(%.10g x $%.10g + %.10g LCU x $%.10g) x %.10g h", n[0], n[1], n[3], n[2],
             m->hours);
}
static double bytes_usd(const double *n, const struct month *m)
{
    return n[0] * n[1] * m->hours + n[3] * m->seconds / 1e9 * n[2];
}
static void bytes_how(const double *n, const struct month *m, char *out, size_t cap)
{
    snprintf(out, cap, "%.10g x $%.10g x %.10g h + %.10g GB x $%.10g", n[0], n[1], m->hours,
             n[3] * m->seconds / 1e9, n[2]);
}
static double transfer_usd(const double *n, const struct month *m)
{
    return n[0] * n[1] * m->seconds / 1e9 * n[2] * n[3];
}
static void transfer_how(const double *n, const struct month *m, char *out, size_t cap)
{
    snprintf(out, cap, "%.10g GB x $%.10g x %.10g side%s", n[0] * n[1] * m->seconds / 1e9, n[2],
             n[3], n[3] == 1 ? "" : "s");
}
static double monthly_usd(const double *n, const struct month *m)
{
    (void)m;
    return n[0];
}
static void monthly_how(const double *n, const struct month *m, char *out, size_t cap)
{
    (void)m;
    snprintf(out, cap, "$%.10g", n[0]);
}

static const struct kind kinds[] = {
    { "hourly", { "count", "usdPerHour" }, hourly_usd, hourly_how },
    { "storage", { "count", "gbEach", "usdPerGbMonth" }, storage_usd, storage_how },
    { "balancer", { "count", "usdPerHour", "usdPerLcuHour", "lcus" }, lcu_usd, lcu_how },
    { "balancer", { "count", "usdPerHour", "usdPerLcuHour", "bytesPerS" }, bytes_usd, bytes_how },
    { "transfer",
      { "bytesPerS", "crossShare", "usdPerGb", "billedSides" },
      transfer_usd,
      transfer_how },
    { "monthly", { "usdPerMonth" }, monthly_usd, monthly_how },
};

static bool fits(const struct kind *k, const json_t *line)
{
    const char *kind = json_string_value(json_object_get(line, "kind"));
    if (kind == NULL || strcmp(kind, k->name) != 0)
        return false;
    for (size_t i = 0; i < MAX_NUMBERS && k->number[i] != NULL; i++)
        if (json_object_get(line, k->number[i]) == NULL)
            return false;
    return true;
}

static bool number(const json_t *j, double *out)
{
    *out = json_number_value(j);
    return json_is_number(j) && isfinite(*out) && *out >= 0;
}

static bool known_member(const struct kind *k, const char *name)
{
    static const char *const always[] = { "name", "kind", "reference", "why" };
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
        if (strcmp(always[i], name) == 0)
            return true;
    for (size_t i = 0; i < MAX_NUMBERS && k->number[i] != NULL; i++)
        if (strcmp(k->number[i], name) == 0)
            return true;
    return false;
}

/* One line of the answer; NULL after complaining. */
static json_t *price(const json_t *line, const struct month *m)
{
    const char *name = json_string_value(json_object_get(line, "name")), *member;
    const struct kind *k = NULL;
    double n[MAX_NUMBERS] = { 0 }, reference = 0;
    char how[200];
    json_t *value;
    for (size_t i = 0; k == NULL && i < sizeof kinds / sizeof kinds[0]; i++)
        if (fits(&kinds[i], line))
            k = &kinds[i];
    if (name == NULL || k == NULL) {
        (void)ctl_complain(CTL_USAGE,
                           "line %s: needs a name, a kind (hourly, storage, balancer, transfer, "
                           "monthly) and its numbers; see prismctl cost --example",
                           name == NULL ? "without a name" : name);
        return NULL;
    }
    json_object_foreach((json_t *)line, member, value)
    {
        if (known_member(k, member))
            continue;
        (void)ctl_complain(CTL_USAGE, "line %s: a line of kind %s has no %s", name, k->name,
                           member);
        return NULL;
    }
    for (size_t i = 0; i < MAX_NUMBERS && k->number[i] != NULL; i++)
        if (!number(json_object_get(line, k->number[i]), &n[i])) {
            (void)ctl_complain(CTL_USAGE, "line %s: %s is no number from 0 up", name, k->number[i]);
            return NULL;
        }
    const json_t *ref = json_object_get(line, "reference");
    if (ref != NULL && !number(ref, &reference)) {
        (void)ctl_complain(CTL_USAGE, "line %s: reference is no number from 0 up", name);
        return NULL;
    }
    const double usd = k->usd(n, m);
    const char *why = json_string_value(json_object_get(line, "why"));
    k->how(n, m, how, sizeof how);
    json_t *out = json_pack("{s:s,s:s,s:f}", "name", name, "how", how, "usdPerMonth", usd);
    if (ref != NULL) {
        json_object_set_new(out, "reference", json_real(reference));
        json_object_set_new(out, "difference", json_real(usd - reference));
    }
    if (why != NULL)
        json_object_set_new(out, "why", json_string(why));
    return out;
}

/* Half a dollar is rounding, not a difference. */
static void print_table(const json_t *lines, double total, double reference)
{
    size_t i;
    const json_t *l;
    printf("%-22s  %16s  %14s  %16s\n", "", "$/month", "reference", "difference");
    json_array_foreach(lines, i, l)
    {
        const double usd = json_real_value(json_object_get(l, "usdPerMonth"));
        const json_t *ref = json_object_get(l, "reference");
        const double difference = json_real_value(json_object_get(l, "difference"));
        const char *why = json_string_value(json_object_get(l, "why"));
        printf("%-22s  %16.2f", json_string_value(json_object_get(l, "name")), usd);
        if (ref != NULL)
            printf("  %14.0f  %16.2f", json_real_value(ref), difference);
        printf("\n    = %s\n", json_string_value(json_object_get(l, "how")));
        if (why != NULL && fabs(difference) >= 0.5)
            printf("    reference: %s\n", why);
    }
    printf("%-22s  %16.2f", "total", total);
    if (reference > 0)
        printf("  %14.0f  %16.2f", reference, total - reference);
    putchar('\n');
}

static int answer(const struct ctl *ctl, const json_t *lines)
{
    double total = 0, reference = 0;
    size_t i;
    const json_t *l;
    json_array_foreach(lines, i, l)
    {
        total += json_real_value(json_object_get(l, "usdPerMonth"));
        reference += json_real_value(json_object_get(l, "reference"));
    }
    if (!ctl->json) {
        print_table(lines, total, reference);
        return CTL_OK;
    }
    json_t *all = json_pack("{s:O,s:f}", "lines", lines, "totalUsdPerMonth", total);
    if (reference > 0)
        json_object_set_new(all, "referenceUsdPerMonth", json_real(reference));
    ctl_print_json(all);
    json_decref(all);
    return CTL_OK;
}

static int price_all(const struct ctl *ctl, const json_t *fleet)
{
    double hours, days;
    const json_t *lines = json_object_get(fleet, "lines"), *line;
    if (!number(json_object_get(fleet, "hoursPerMonth"), &hours) ||
        !number(json_object_get(fleet, "daysPerMonth"), &days) || !json_is_array(lines))
        return ctl_complain(CTL_USAGE, "a fleet has hoursPerMonth, daysPerMonth and lines; see "
                                       "prismctl cost --example");
    const struct month m = { hours, days * 86400 };
    json_t *out = json_array();
    size_t i;
    int code = CTL_OK;
    json_array_foreach(lines, i, line)
    {
        json_t *priced = price(line, &m);
        if (priced == NULL) {
            code = CTL_USAGE;
            break;
        }
        json_array_append_new(out, priced);
    }
    if (code == CTL_OK)
        code = answer(ctl, out);
    json_decref(out);
    return code;
}

int ctl_cost(struct ctl *ctl, const struct ctl_line *line)
{
    const char *file = ctl_opt(line, "fleet");
    json_error_t at;
    json_t *fleet = file == NULL             ? json_loads(reference_fleet, 0, &at)
                    : strcmp(file, "-") == 0 ? json_loadf(stdin, JSON_REJECT_DUPLICATES, &at)
                                             : json_load_file(file, JSON_REJECT_DUPLICATES, &at);
    if (fleet == NULL)
        return ctl_complain(CTL_USAGE, "%s: line %d: %s", file == NULL ? "reference" : file,
                            at.line, at.text);
    int code = CTL_OK;
    if (ctl_opt(line, "example") != NULL)
        ctl_print_json(fleet);
    else
        code = price_all(ctl, fleet);
    json_decref(fleet);
    return code;
}
