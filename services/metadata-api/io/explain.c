/* A stored decision as an explanation: the decision document and what it was decided from,
 * member by member, and what came of it. JSON in, JSON out. */
#include "rest_scale.h"

#include <string.h>

static const json_t *at(const json_t *o, const char *name)
{
    return json_object_get(o, name);
}

static const char *text(const json_t *o, const char *name)
{
    const char *s = json_string_value(at(o, name));
    return s == NULL ? "" : s;
}

static json_int_t whole(const json_t *o, const char *name)
{
    return json_integer_value(at(o, name));
}

/* A copy of what is there, null for what is not. */
static json_t *same(const json_t *o, const char *name)
{
    json_t *v = json_object_get(o, name);
    return v == NULL ? json_null() : json_incref(v);
}

static json_t *words(const char *s) /* null for "" */
{
    return s[0] == '\0' ? json_null() : json_string(s);
}

static json_t *time_of(json_int_t ms) /* null for 0 */
{
    char t[API_TIME_TEXT];
    if (ms <= 0)
        return json_null();
    api_time_text(ms, t);
    return json_string(t);
}

/* What a rule measured: of the decision, and of each vote. */
static json_t *rule_json(const json_t *v)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:I, s:o, s:o}", "policy", same(v, "policy"), "rule",
                     words(text(v, "rule")), "observed", same(v, "observed"), "threshold",
                     same(v, "threshold"), "windowS", whole(v, "window_ms") / 1000, "cooldownUntil",
                     time_of(whole(v, "cooldown_until_ms")), "limited", words(text(v, "limited")));
}

static json_t *why_json(const json_t *d)
{
    json_t *o = rule_json(d);
    if (o != NULL)
        (void)json_object_set_new(o, "text", json_string(text(d, "why")));
    return o;
}

static json_t *votes_json(const json_t *d)
{
    json_t *list = json_array();
    const json_t *deciding = at(d, "deciding");
    size_t i;
    json_t *v;
    json_array_foreach(at(d, "votes"), i, v)
    {
        json_t *o = rule_json(v);
        if (o == NULL)
            break;
        const bool decides =
            json_is_integer(deciding) && json_integer_value(deciding) == (json_int_t)i;
        (void)json_object_set_new(o, "decides", json_boolean(decides));
        (void)json_object_set_new(o, "move", same(v, "move"));
        (void)json_object_set_new(o, "desired", same(v, "desired"));
        (void)json_object_set_new(o, "wanted", same(v, "wanted"));
        (void)json_object_set_new(o, "why", words(text(v, "why")));
        (void)json_array_append_new(list, o);
    }
    return list;
}

static json_t *floors_json(const json_t *d, const json_t *fleet)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "instances", same(d, "floor"), "why",
                     words(text(d, "floor_why")), "min", same(fleet, "min"), "max",
                     same(fleet, "max"), "zoneLossPct", same(fleet, "zone_loss_pct"));
}

/* The newest minute that it knew. */
static json_t *seen_json(const json_t *view)
{
    const json_t *samples = at(view, "samples");
    const json_t *s = json_array_size(samples) == 0
                          ? NULL
                          : json_array_get(samples, json_array_size(samples) - 1);
    return json_pack("{s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "desired",
                     same(view, "desired"), "serving", same(view, "serving"), "minutes",
                     (json_int_t)json_array_size(samples), "at", time_of(whole(s, "at_ms")),
                     "cpuPct", same(s, "cpu_pct"), "memoryPct", same(s, "memory_pct"), "networkBps",
                     same(s, "network_bps"), "backlog", same(s, "backlog"), "load", same(s, "load"),
                     "silent", same(s, "silent"));
}

static json_t *places_json(const json_t *d)
{
    json_t *list = json_array();
    size_t i;
    json_t *p;
    json_array_foreach(at(d, "places"), i, p)(void) json_array_append_new(
        list,
        json_pack("{s:o, s:o, s:I, s:I, s:I, s:I}", "zone", same(p, "zone"), "group",
                  same(p, "group"), "join", whole(p, "get"), "primaries", whole(p, "primaries"),
                  "leave", whole(p, "give"), "return", whole(p, "back")));
    return list;
}

/* --- who leaves ------------------------------------------------------------------ */

static const json_t *node_of(const json_t *nodes, const char *id)
{
    size_t i;
    json_t *n;
    json_array_foreach(nodes, i, n) if (strcmp(text(n, "id"), id) == 0) return n;
    return NULL;
}

static bool is_among(const json_t *ids, const char *id)
{
    size_t i;
    json_t *one;
    json_array_foreach(ids, i, one)
    {
        const char *s = json_string_value(one);
        if (s != NULL && strcmp(s, id) == 0)
            return true;
    }
    return false;
}

static const char *class_of(const json_t *n)
{
    if (json_is_true(at(n, "failed")))
        return "has failed";
    if (json_is_true(at(n, "leaving")))
        return "was leaving already";
    if (json_is_true(at(n, "unsized")))
        return "nobody knows its bytes: its slots count, by the mean of the others";
    if (whole(n, "bytes") == 0)
        return "holds nothing that would have to be moved";
    return text(n, "shard")[0] != '\0' ? "its shard is among those with the fewest bytes to move"
                                       : "among those with the fewest bytes to move";
}

static json_t *bytes_of(const json_t *n)
{
    return json_is_true(at(n, "unsized")) ? json_null() : json_integer(whole(n, "bytes"));
}

static json_t *leavers_json(const json_t *d, const json_t *nodes)
{
    json_t *list = json_array();
    size_t i;
    json_t *id;
    json_array_foreach(at(d, "leaves"), i, id)
    {
        const char *name = json_string_value(id);
        const json_t *n = name == NULL ? NULL : node_of(nodes, name);
        if (n == NULL)
            continue;
        (void)json_array_append_new(
            list, json_pack("{s:s, s:o, s:o, s:o, s:b, s:o, s:I, s:s}", "id", name, "zone",
                            same(n, "zone"), "group", same(n, "group"), "shard",
                            words(text(n, "shard")), "primary", json_is_true(at(n, "primary")),
                            "bytes", bytes_of(n), "slots", whole(n, "slots"), "why", class_of(n)));
    }
    return list;
}

/* A shard's data once, however many copies of it leave; *least_staying: of what stays (-1:
 * nothing does that could have gone instead). */
static json_int_t bytes_to_move(const json_t *d, const json_t *nodes, bool units,
                                json_int_t *least_staying)
{
    const json_t *leaves = at(d, "leaves");
    json_int_t sum = 0;
    size_t i;
    json_t *n;
    *least_staying = -1;
    json_array_foreach(nodes, i, n)
    {
        const json_int_t bytes = whole(n, "bytes");
        const bool counts =
            (!units || json_is_true(at(n, "primary"))) && !json_is_true(at(n, "unsized"));
        if (is_among(leaves, text(n, "id")))
            sum += counts ? bytes : 0;
        else if (counts && !json_is_true(at(n, "leaving")) &&
                 (*least_staying < 0 || bytes < *least_staying))
            *least_staying = bytes;
    }
    return sum;
}

static json_t *leaves_json(const json_t *d, const json_t *nodes, bool units)
{
    json_int_t least;
    const json_int_t bytes = bytes_to_move(d, nodes, units, &least);
    const char *why =
        json_array_size(at(d, "leaves")) == 0 ? ""
        : units ? "nodes without a shard and failed ones first, then whole shards with the fewest "
                  "bytes to move, so that no shard loses a copy; no zone keeps half of the "
                  "primaries, and what the loss of a zone takes stays"
                : "failed nodes first, then the fewest bytes to move, from the zones that have "
                  "more than their part";
    return json_pack("{s:o, s:I, s:o, s:o}", "why", words(why), "bytes", bytes, "leastBytesStaying",
                     least < 0 ? json_null() : json_integer(least), "nodes",
                     leavers_json(d, nodes));
}

/* --- what came of it ------------------------------------------------------------- */

static const char *outcome_words(const json_t *row)
{
    const char *state = text(row, "state"), *move = text(row, "move");
    if (strcmp(move, "out") != 0 && strcmp(move, "in") != 0)
        return "nothing had to be done";
    if (json_is_true(at(row, "advice")))
        return "advice: nobody carries it out, by the settings' mode or actuator";
    static const struct {
        const char *state, *words;
    } said[] = {
        { "decided", "nobody has acted on it yet" },
        { "acting", "it is being carried out" },
        { "done", "carried out: the fleet reports what was wanted" },
        { "failed", "it could not be carried out" },
        { "superseded", "a later decision took its place" },
    };
    for (size_t i = 0; i < PR_COUNT(said); i++)
        if (strcmp(state, said[i].state) == 0)
            return said[i].words;
    return state;
}

static json_t *outcome_json(const json_t *facts)
{
    const json_t *row = at(facts, "row");
    return json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:o}", "state", text(row, "state"), "advice",
                     same(row, "advice"), "text", outcome_words(row), "since",
                     same(row, "updatedAt"), "plan", same(facts, "plan"), "supersededBy",
                     same(facts, "supersededBy"), "report", same(facts, "report"));
}

static json_t *cost_json(const json_t *d)
{
    const json_t *before = at(d, "cost_month_before"), *after = at(d, "cost_month_after");
    const bool known = json_is_number(before) && json_is_number(after);
    return json_pack("{s:o, s:o, s:o}", "usdPerMonthBefore", same(d, "cost_month_before"),
                     "usdPerMonthAfter", same(d, "cost_month_after"), "usdPerMonthChange",
                     known ? json_real(json_number_value(after) - json_number_value(before))
                           : json_null());
}

json_t *api_decision_explained(const json_t *facts)
{
    const json_t *row = at(facts, "row"), *d = at(facts, "decision"), *input = at(facts, "input");
    const json_t *fleet = at(input, "fleet"), *nodes = at(input, "nodes");
    const json_int_t unit = whole(fleet, "unit"), useful = whole(d, "useful_ms");
    const bool out = strcmp(text(row, "move"), "out") == 0;
    json_t *o = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", same(row, "id"),
                          "fleet", same(row, "fleet"), "at", same(row, "at"), "settingsVersion",
                          same(row, "settingsVersion"), "move", same(row, "move"), "from",
                          same(row, "from"), "to", same(row, "to"), "alarm", same(row, "alarmWhy"));
    if (o == NULL)
        return NULL;
    const struct {
        const char *name;
        json_t *value;
    } part[] = {
        { "units", json_pack("{s:I, s:o, s:o}", "size", unit > 0 ? unit : 1, "from",
                             same(d, "units_from"), "to", same(d, "units_to")) },
        { "why", why_json(d) },
        { "seen", seen_json(at(input, "view")) },
        { "votes", votes_json(d) },
        { "floors", floors_json(d, fleet) },
        { "places", places_json(d) },
        { "placesWhy", words(text(d, "place_why")) },
        { "leaves", leaves_json(d, nodes, unit > 1) },
        { "returns", same(d, "returns") },
        { "cost", cost_json(d) },
        { "usefulInS", out ? json_integer(useful / 1000) : json_null() },
        { "usefulAt", out ? time_of(whole(d, "at_ms") + useful) : json_null() },
        { "advice", words(text(d, "advice")) },
        { "outcome", outcome_json(facts) },
    };
    bool ok = true;
    for (size_t i = 0; i < PR_COUNT(part); i++) /* takes each over, also when one is NULL */
        ok = json_object_set_new(o, part[i].name, part[i].value) == 0 && ok;
    if (ok)
        return o;
    json_decref(o);
    return NULL;
}
