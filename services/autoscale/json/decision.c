#include "json/json.h"

#include "json/tables.h"

#include <string.h>

#define V(member) F(struct autoscale_vote, member)
static const struct field vote_rows[] = {
    { V(move), .kind = FIELD_NAME, .names = autoscale_move_names, .cap = 4 },
    { V(desired), .kind = FIELD_INT },
    { V(wanted), .kind = FIELD_INT },
    { V(rule), .kind = FIELD_TEXT, .cap = sizeof(((struct autoscale_vote *)0)->rule) },
    { V(observed), .kind = FIELD_REAL, .flags = FIELD_NULLABLE },
    { V(threshold), .kind = FIELD_REAL, .flags = FIELD_NULLABLE },
    { V(window_ms), .kind = FIELD_I64 },
    { V(cooldown_until_ms), .kind = FIELD_I64 },
    { V(limited), .kind = FIELD_TEXT, .cap = sizeof(((struct autoscale_vote *)0)->limited) },
    { V(why), .kind = FIELD_TEXT, .cap = sizeof(((struct autoscale_vote *)0)->why) },
};
static const struct field_table vote_fields = FIELD_TABLE(vote_rows, struct autoscale_vote, NULL);

#define P(member) F(struct autoscale_place, member)
static const struct field place_rows[] = {
    { P(zone), .kind = FIELD_ZONE }, { P(group), .kind = FIELD_GROUP },
    { P(give), .kind = FIELD_INT },  { P(get), .kind = FIELD_INT },
    { P(back), .kind = FIELD_INT },  { P(primaries), .kind = FIELD_INT, .flags = FIELD_OMIT_ZERO },
};
static const struct field_table place_fields =
    FIELD_TABLE(place_rows, struct autoscale_place, NULL);

#define D(member) F(struct autoscale_decision, member)
#define TEXT(member)                                                                               \
    D(member), .kind = FIELD_TEXT, .cap = sizeof(((struct autoscale_decision *)0)->member)
static const struct field decision_rows[] = {
    { D(move), .kind = FIELD_NAME, .names = autoscale_move_names, .cap = 4 },
    { D(from), .kind = FIELD_INT },
    { D(to), .kind = FIELD_INT },
    { D(units_from), .kind = FIELD_INT },
    { D(units_to), .kind = FIELD_INT },
    { TEXT(why) },
    { D(alarm), .kind = FIELD_BOOL },
    { TEXT(alarm_why) },
    { D(deciding), .kind = FIELD_INT, .lo = -1, .hi = AUTOSCALE_POLICIES - 1 },
    { TEXT(limited) },
    { D(floor), .kind = FIELD_INT },
    { TEXT(floor_why) },
    { .name = "places",
      .kind = FIELD_ARRAY,
      .at = offsetof(struct autoscale_decision, place),
      .cap = AUTOSCALE_ZONES + AUTOSCALE_GROUPS,
      .count = offsetof(struct autoscale_decision, places),
      .count_is = COUNT_SIZE,
      .of = &place_fields },
    { TEXT(place_why), .flags = FIELD_OMIT_ZERO },
    { D(cost_month_before), .kind = FIELD_REAL, .flags = FIELD_NULLABLE },
    { D(cost_month_after), .kind = FIELD_REAL, .flags = FIELD_NULLABLE },
    { D(useful_ms), .kind = FIELD_I64 },
    { TEXT(advice) },
};
static const struct field_table decision_fields =
    FIELD_TABLE(decision_rows, struct autoscale_decision, NULL);

static const char *kind_of(const struct autoscale_input *in, size_t policy)
{
    return autoscale_kind_name(in->settings.policy[policy].kind);
}

static json_t *ids(const struct autoscale_input *in, const int *index, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; array != NULL && i < n; i++)
        if (json_array_append_new(array, field_text(in->node[index[i]].id)) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *votes(const struct autoscale_input *in, const struct autoscale_decision *d)
{
    json_t *array = json_array();
    for (size_t i = 0; array != NULL && i < in->settings.policies; i++) {
        json_t *one = json_pack("{s:s}", "policy", kind_of(in, i));
        if (one == NULL || !fields_add(&in->fleet, &vote_fields, &d->vote[i], one) ||
            json_array_append(array, one) != 0) {
            json_decref(array);
            array = NULL;
        }
        json_decref(one);
    }
    return array;
}

/* What the deciding vote measured, where people look first. */
static bool add_rule(const struct autoscale_input *in, const struct autoscale_decision *d,
                     json_t *o)
{
    if (d->deciding < 0)
        return json_object_set_new(o, "policy", json_null()) == 0;
    const struct autoscale_vote *v = &d->vote[d->deciding];
    return json_object_set_new(o, "policy", field_text(kind_of(in, (size_t)d->deciding))) == 0 &&
           json_object_set_new(o, "rule", field_text(v->rule)) == 0 &&
           json_object_set_new(o, "observed", field_number(v->observed)) == 0 &&
           json_object_set_new(o, "threshold", field_number(v->threshold)) == 0 &&
           json_object_set_new(o, "window_ms", json_integer(v->window_ms)) == 0 &&
           json_object_set_new(o, "cooldown_until_ms", json_integer(v->cooldown_until_ms)) == 0;
}

json_t *autoscale_json_decision_write(const struct autoscale_input *in,
                                      const struct autoscale_decision *d)
{
    json_t *o =
        json_pack("{s:s, s:I}", "fleet", in->fleet.name, "at_ms", (json_int_t)in->view.now_ms);
    if (o != NULL && fields_add(&in->fleet, &decision_fields, d, o) && add_rule(in, d, o) &&
        json_object_set_new(o, "leaves", ids(in, d->leaves, d->n_leaves)) == 0 &&
        json_object_set_new(o, "returns", ids(in, d->returns, d->n_returns)) == 0 &&
        json_object_set_new(o, "votes", votes(in, d)) == 0)
        return o;
    json_decref(o);
    return NULL;
}

/* --- and back ----------------------------------------------------------------------------- */

static enum pr_code read_ids(struct field_ctx *c, const struct autoscale_input *in,
                             const json_t *array, int *index, size_t *n)
{
    if (!json_is_array(array) || json_array_size(array) > AUTOSCALE_CHOSEN)
        return field_bad(c, "want an array of at most %d ids", AUTOSCALE_CHOSEN);
    *n = json_array_size(array);
    for (size_t i = 0; i < *n; i++) {
        const char *id = json_string_value(json_array_get(array, i));
        size_t node = 0;
        while (id != NULL && node < in->nodes && strcmp(in->node[node].id, id) != 0)
            node++;
        if (id == NULL || node == in->nodes)
            return field_bad(c, "there is no node \"%.40s\"", id == NULL ? "" : id);
        index[i] = (int)node;
    }
    return PR_OK;
}

static enum pr_code read_votes(struct field_ctx *c, const struct autoscale_input *in,
                               const json_t *array, struct autoscale_vote *vote)
{
    if (!json_is_array(array) || json_array_size(array) != in->settings.policies)
        return field_bad(c, "want one vote for each of %zu policies", in->settings.policies);
    for (size_t i = 0; i < in->settings.policies; i++) {
        const size_t at = field_enter(c, NULL, i);
        const enum pr_code rc =
            fields_read(c, &vote_fields, json_array_get(array, i), "policy", &vote[i]);
        if (rc != PR_OK)
            return rc;
        field_leave(c, at);
    }
    return PR_OK;
}

enum pr_code autoscale_json_decision_read(const json_t *o, const struct autoscale_input *in,
                                          struct autoscale_decision *out, struct pr_err *err)
{
    static const char *const said_twice[] = { "fleet",     "at_ms",
                                              "policy",    "rule",
                                              "observed",  "threshold",
                                              "window_ms", "cooldown_until_ms" };
    struct field_ctx c = { .fleet = &in->fleet, .err = err };
    memset(out, 0, sizeof *out);
    if (!json_is_object(o))
        return field_bad(&c, "a decision is an object");
    size_t at = field_enter(&c, "leaves", 0);
    enum pr_code rc = read_ids(&c, in, json_object_get(o, "leaves"), out->leaves, &out->n_leaves);
    if (rc != PR_OK)
        return rc;
    field_leave(&c, at);
    at = field_enter(&c, "returns", 0);
    rc = read_ids(&c, in, json_object_get(o, "returns"), out->returns, &out->n_returns);
    if (rc != PR_OK)
        return rc;
    field_leave(&c, at);
    at = field_enter(&c, "votes", 0);
    rc = read_votes(&c, in, json_object_get(o, "votes"), out->vote);
    if (rc != PR_OK)
        return rc;
    field_leave(&c, at);

    json_t *rest = json_copy((json_t *)(uintptr_t)o);
    if (rest == NULL)
        return pr_fail(err, PR_ENOMEM, "a decision");
    for (size_t i = 0; i < PR_COUNT(said_twice); i++)
        (void)json_object_del(rest, said_twice[i]);
    (void)json_object_del(rest, "leaves");
    (void)json_object_del(rest, "returns");
    (void)json_object_del(rest, "votes");
    rc = fields_read(&c, &decision_fields, rest, NULL, out);
    json_decref(rest);
    return rc;
}
