/* Conformance cases of who is terminated first: the order of the criteria in words, or members
 * and the order in which they go. */
#include "cli/cases_aws.h"

#include "cli/cases_read.h"
#include "core/aws_group.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MEMBERS = 64, HOUR_MIN = 60 };

/* --- in words --------------------------------------------------------------------------- */

/* In the order in which they are applied. */
enum criterion { ZONE, ALLOCATION, CONFIGURATION, TEMPLATE, BILLING, RANDOM, CRITERIA };

/* The first and the last criterion that the words speak of; false: none. */
static bool criteria_of(const char *text, enum criterion *first, enum criterion *last)
{
    static const char *const words[CRITERIA] = {
        "zone|az_|most_instances", "allocation", "config", "template", "billing|hour", "random",
    };
    *first = CRITERIA;
    *last = ZONE;
    for (int i = ZONE; i < CRITERIA; i++)
        if (case_mentions(text, words[i])) {
            *first = *first == CRITERIA ? (enum criterion)i : *first;
            *last = (enum criterion)i;
        }
    return *first != CRITERIA;
}

static void check_words(struct case_fields *f, const json_t *list)
{
    bool has[CRITERIA] = { false };
    int reached = -1;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        enum criterion first, last;
        if (text == NULL || !criteria_of(text, &first, &last)) {
            case_differs(f, "expect: entry %zu (\"%.80s\") names no criterion", i + 1,
                         text == NULL ? "?" : text);
            return;
        }
        if ((int)first < reached)
            case_differs(f, "expect: \"%.80s\" comes too late", text);
        reached = (int)last;
        has[first] = has[last] = true;
    }
    if (!has[ZONE])
        case_differs(f, "expect: the zone with the most members comes first");
    if (!has[CONFIGURATION] && !has[TEMPLATE])
        case_differs(f, "expect: the oldest launch configuration or template is not there");
    if (!has[BILLING])
        case_differs(f, "expect: the next billing hour is not there");
}

/* --- members ------------------------------------------------------------------------------ */

struct members {
    const char *id[MEMBERS];
    struct autoscale_leaver one[MEMBERS];
    const char *zone[MEMBERS];
    size_t n;
};

static int zone_index(const struct members *m, const char *zone)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->zone[i], zone) == 0)
            return (int)i;
    return (int)m->n;
}

static void read_launch(struct case_fields *f, struct autoscale_leaver *l)
{
    const json_t *configuration =
        case_any(f, "launch_configuration|configuration|config|config_version|lc");
    const json_t *template = case_any(f, "launch_template|template|template_version|version|lt");
    const json_t *of =
        configuration != NULL && !json_is_null(configuration) ? configuration : template;
    const char *launch = case_text_or(f, "launch|launched_by|launch_type", NULL);
    l->by_configuration = of != NULL && of == configuration && !json_is_false(of);
    if (launch != NULL) {
        l->by_configuration = case_mentions(launch, "config");
        if (!l->by_configuration && !case_mentions(launch, "template"))
            case_differs(f, "launched by neither a configuration nor a template: \"%.40s\"",
                         launch);
    }
    l->version = case_number_or(f, "launch_version|revision", json_number_value(of));
    const double age = case_number_or(f, "config_age|template_age|version_age", NAN);
    if (!isnan(age))
        l->version = -age;
}

static void read_age(struct case_fields *f, struct autoscale_leaver *l)
{
    const double minutes = case_number_or(f, "age_min|running_min|uptime_min", NAN);
    const double hours = case_number_or(f, "age_h", NAN);
    const double seconds = case_number_or(f, "age_s", NAN);
    const double launched = case_number_or(f, "launched|launched_min|launched_at", NAN);
    const double age = !isnan(minutes)   ? minutes
                       : !isnan(hours)   ? hours * HOUR_MIN
                       : !isnan(seconds) ? seconds / HOUR_MIN
                                         : case_number_or(f, "age", NAN);
    l->age = !isnan(age) ? age : isnan(launched) ? 0 : -launched;
    const double in_hour = isnan(age) ? NAN : age - floor(age / HOUR_MIN) * HOUR_MIN;
    l->to_billing_hour = case_number_or(
        f,
        "to_billing_hour_min|min_to_billing_hour|minutes_to_hour|to_next_hour_min|billing_min|"
        "minutes_to_billing_hour|to_billing_hour|to_hour_min",
        isnan(in_hour) ? 0 : HOUR_MIN - in_hour);
}

static void read_members(struct case_fields *f, const json_t *list, struct members *m)
{
    m->n = 0;
    if (!json_is_array(list) || json_array_size(list) > MEMBERS) {
        case_differs(f, "instances: want an array of at most %d", MEMBERS);
        return;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct case_fields one = case_inside(json_array_get(list, i), "instances", f->diff);
        struct autoscale_leaver *l = &m->one[i];
        *l = (struct autoscale_leaver){ 0 };
        m->id[i] = case_text(&one, "id|name|instance");
        m->zone[i] = case_text_or(&one, "zone|az|availability_zone", "");
        l->zone = zone_index(m, m->zone[i]);
        l->keep = case_bool_or(&one, "protected|protect|scale_in_protected", false);
        read_launch(&one, l);
        read_age(&one, l);
        case_leftover(&one);
        m->n++;
    }
}

static size_t read_policies(struct case_fields *f, enum autoscale_termination *policy)
{
    const json_t *v = case_any(f, "policies|policy|termination_policies|termination_policy");
    const size_t n = json_is_array(v) ? json_array_size(v) : 1;
    policy[0] = AUTOSCALE_GOES_DEFAULT;
    if (v == NULL || json_is_null(v))
        return 1;
    if (n > AUTOSCALE_TERMINATIONS) {
        case_differs(f, "policies: more than %d", AUTOSCALE_TERMINATIONS);
        return 1;
    }
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_is_array(v) ? json_array_get(v, i) : v);
        if (name != NULL && case_is(name, "default"))
            policy[i] = AUTOSCALE_GOES_DEFAULT;
        else if (name == NULL || !autoscale_termination_parse(name, &policy[i]))
            case_differs(f, "no termination policy \"%.60s\"", name == NULL ? "?" : name);
    }
    return n;
}

static void check_members(struct case_fields *f, const struct members *m, const json_t *want,
                          const enum autoscale_termination *policy, size_t policies)
{
    bool gone[MEMBERS] = { false };
    const size_t n = json_is_array(want) ? json_array_size(want) : 1;
    const int remove = case_int_or(f, "remove|terminate|count", (int)n);
    if (remove != (int)n || n == 0)
        case_differs(f, "expect: %zu names for %d to go", n, remove);
    for (size_t i = 0; i < n; i++) {
        const char *id = json_string_value(json_is_array(want) ? json_array_get(want, i) : want);
        const size_t next = autoscale_goes_next(m->one, gone, m->n, policy, policies);
        if (next == m->n) {
            case_differs(f, "expect: nobody may go any more");
            return;
        }
        gone[next] = true;
        if (id == NULL || strcmp(id, m->id[next]) != 0)
            case_differs(f, "expect: number %zu: computed %.60s, want %.60s", i + 1, m->id[next],
                         id == NULL ? "?" : id);
    }
}

void case_termination_order(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    const json_t *list = case_any(&f, "instances|members");
    const json_t *expect = case_any(&f, "expect|order");
    enum autoscale_termination policy[AUTOSCALE_TERMINATIONS];
    const size_t policies = read_policies(&f, policy);
    if (expect == NULL) {
        case_differs(&f, "field \"expect\" is missing");
    } else if (list != NULL) {
        struct members m;
        read_members(&f, list, &m);
        check_members(&f, &m, expect, policy, policies);
    } else if (!json_is_array(expect) || policy[0] != AUTOSCALE_GOES_DEFAULT) {
        case_differs(&f, "expect: no order of criteria of the default policy");
    } else {
        check_words(&f, expect);
    }
    case_leftover(&f);
}
