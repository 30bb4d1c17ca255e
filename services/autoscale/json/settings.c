#include "json/json.h"

#include "json/tables.h"

#include <string.h>

#define B(member) F(struct autoscale_budget, member)
static const struct field budget_rows[] = {
    { B(actions_per_day), .kind = FIELD_INT, .lo = 0, .hi = 1e6 },
    { B(flaps_per_day), .kind = FIELD_INT, .lo = 0, .hi = 1e6 },
    { B(flap_ms), .kind = FIELD_I64, .lo = 0, .hi = 86400000 },
};
static const struct field_table budget_fields =
    FIELD_TABLE(budget_rows, struct autoscale_budget, NULL);

#define SF(member) F(struct autoscale_floor, member)
static const struct field floor_rows[] = {
    { SF(name), .kind = FIELD_TEXT, .cap = 64, .flags = FIELD_NEEDED },
    { SF(cron), .kind = FIELD_TEXT, .cap = 64, .flags = FIELD_NEEDED },
    { SF(zone), .kind = FIELD_TEXT, .cap = 64 },
    { SF(lasts_ms), .kind = FIELD_I64, .lo = 0, .hi = 366 * 864e5 },
    { SF(min), .kind = FIELD_INT, .lo = 0, .hi = 1e6 },
    { SF(max), .kind = FIELD_INT, .lo = 0, .hi = 1e6 },
    { SF(desired), .kind = FIELD_INT, .lo = 0, .hi = 1e6 },
};
static void floor_defaults(void *one)
{
    struct autoscale_floor *f = one;
    memcpy(f->zone, "UTC", sizeof "UTC");
}
static const struct field_table floor_fields =
    FIELD_TABLE(floor_rows, struct autoscale_floor, floor_defaults);

static const char *const combines[] = { "first", "largest" };
#define SE(member) F(struct autoscale_settings, member)
static const struct field settings_rows[] = {
    { SE(combine), .kind = FIELD_NAME, .names = combines, .cap = PR_COUNT(combines) },
    { .name = "schedule",
      .kind = FIELD_ARRAY,
      .at = offsetof(struct autoscale_settings, schedule) +
            offsetof(struct autoscale_schedule, floor),
      .cap = AUTOSCALE_SCHEDULES,
      .count = offsetof(struct autoscale_settings, schedule) +
               offsetof(struct autoscale_schedule, floors),
      .count_is = COUNT_SIZE,
      .of = &floor_fields },
    { SE(budget), .kind = FIELD_OBJECT, .of = &budget_fields },
};
static const struct field_table settings_fields =
    FIELD_TABLE(settings_rows, struct autoscale_settings, NULL);

static void defaults(struct autoscale_settings *s)
{
    static const enum autoscale_kind kind[] = { AUTOSCALE_ADAPTIVE, AUTOSCALE_RULES, AUTOSCALE_HPA,
                                                AUTOSCALE_TARGET };
    memset(s, 0, sizeof *s);
    s->combine = AUTOSCALE_FIRST;
    s->budget = (struct autoscale_budget){
        .actions_per_day = 96,
        .flaps_per_day = 12,
        .flap_ms = 30 * AUTOSCALE_MINUTE_MS,
    };
    for (size_t i = 0; i < PR_COUNT(kind); i++)
        autoscale_policy_default(kind[i], &s->policy[s->policies++]);
}

static enum pr_code read_policy(struct field_ctx *c, const json_t *o, struct autoscale_policy *to)
{
    const json_t *name = json_object_get(o, "policy");
    struct pr_err why;
    enum autoscale_kind kind;
    if (!json_is_string(name))
        return field_bad(c, "want an object with \"policy\", the name of its kind");
    if (autoscale_kind_parse(json_string_value(name), &kind, &why) != PR_OK) {
        (void)field_enter(c, "policy", 0);
        return field_bad(c, "%s", why.text);
    }
    memset(to, 0, sizeof *to);
    autoscale_policy_default(kind, to);
    return fields_read(c, autoscale_policy_fields[kind], o, "policy", &to->is);
}

static enum pr_code read_policies(struct field_ctx *c, const json_t *array,
                                  struct autoscale_settings *s)
{
    const size_t n = json_array_size(array);
    if (!json_is_array(array) || n < 1 || n > AUTOSCALE_POLICIES)
        return field_bad(c, "want an array of 1 to %d policies", AUTOSCALE_POLICIES);
    s->policies = n;
    for (size_t i = 0; i < n; i++) {
        const size_t at = field_enter(c, NULL, i);
        const enum pr_code rc = read_policy(c, json_array_get(array, i), &s->policy[i]);
        if (rc != PR_OK)
            return rc;
        field_leave(c, at);
    }
    return PR_OK;
}

/* Where the deciding kind stood before; what had no place any more falls off the end. */
static enum pr_code put_first(struct field_ctx *c, const char *name, struct autoscale_settings *s)
{
    enum autoscale_kind kind;
    const enum pr_code rc = autoscale_kind_parse(name, &kind, c->err);
    if (rc != PR_OK)
        return rc;
    struct autoscale_policy first;
    size_t at = 0;
    while (at < s->policies && s->policy[at].kind != kind)
        at++;
    if (at < s->policies) {
        first = s->policy[at];
    } else {
        memset(&first, 0, sizeof first);
        autoscale_policy_default(kind, &first);
        if (s->policies < AUTOSCALE_POLICIES)
            s->policies++;
        at = s->policies - 1;
    }
    memmove(&s->policy[1], &s->policy[0], at * sizeof first);
    s->policy[0] = first;
    return PR_OK;
}

enum pr_code autoscale_settings_read(struct field_ctx *c, const json_t *o, const char *policy,
                                     struct autoscale_settings *s)
{
    defaults(s);
    enum pr_code rc = PR_OK;
    const json_t *policies = json_object_get(o, "policies");
    if (policies != NULL) {
        const size_t at = field_enter(c, "policies", 0);
        rc = read_policies(c, policies, s);
        if (rc != PR_OK)
            return rc;
        field_leave(c, at);
    }
    if (o != NULL)
        rc = fields_read(c, &settings_fields, o, "policies", s);
    if (rc == PR_OK && policy != NULL)
        rc = put_first(c, policy, s);
    return rc;
}

enum pr_code autoscale_json_settings_read(const json_t *o, const char *policy,
                                          struct autoscale_settings *out, struct pr_err *err)
{
    struct field_ctx c = { .err = err };
    const enum pr_code rc = autoscale_settings_read(&c, o, policy, out);
    return rc == PR_OK ? autoscale_settings_check(out, err) : rc;
}

static json_t *policy_write(const struct autoscale_policy *p)
{
    json_t *o = json_pack("{s:s}", "policy", autoscale_kind_name(p->kind));
    if (o == NULL || fields_add(NULL, autoscale_policy_fields[p->kind], &p->is, o))
        return o;
    json_decref(o);
    return NULL;
}

json_t *autoscale_json_settings_write(const struct autoscale_settings *s)
{
    json_t *o = json_object(), *policies = json_array();
    bool ok = o != NULL && policies != NULL;
    for (size_t i = 0; ok && i < s->policies; i++)
        ok = json_array_append_new(policies, policy_write(&s->policy[i])) == 0;
    ok = ok && json_object_set(o, "policies", policies) == 0 &&
         fields_add(NULL, &settings_fields, s, o);
    json_decref(policies);
    if (ok)
        return o;
    json_decref(o);
    return NULL;
}
