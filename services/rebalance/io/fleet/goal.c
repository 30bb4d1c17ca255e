#include "io/fleet/goal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static inline void free_json(json_t **j)
{
    json_decref(*j);
}

struct reading {
    const json_t *goal;
    const struct rebalance_fleet *fleet;
    struct pr_arena *arena;
    struct rebalance_order_in *out;
    struct pr_err *err;
};

static enum pr_code find_node(const struct reading *r, const char *name, int16_t *out)
{
    for (size_t i = 0; i < r->fleet->nodes; i++)
        if (strcmp(r->fleet->node[i].id, name) == 0) {
            *out = (int16_t)i;
            return PR_OK;
        }
    return pr_fail(r->err, PR_ENOTFOUND, "node %s is not registered", name);
}

static enum pr_code member_text(const struct reading *r, const char *member, const char **out)
{
    *out = json_string_value(json_object_get(r->goal, member));
    if (*out == NULL)
        return pr_fail(r->err, PR_EINVAL, "the goal has no %s", member);
    return PR_OK;
}

static enum pr_code read_node(const struct reading *r, const char *member, int16_t *out)
{
    const char *name = NULL;
    enum pr_code rc = member_text(r, member, &name);
    return rc == PR_OK ? find_node(r, name, out) : rc;
}

/* nodes: ["n1", ...], or node: "n1". */
static enum pr_code read_nodes(const struct reading *r)
{
    const json_t *list = json_object_get(r->goal, "nodes");
    const size_t n = list == NULL ? 1 : json_array_size(list);
    int16_t *node = pr_arena_alloc(r->arena, (n + 1) * sizeof *node);
    if (node == NULL)
        return pr_fail(r->err, PR_ENOMEM, "%zu nodes of a goal", n);
    if (n == 0)
        return pr_fail(r->err, PR_EINVAL, "the goal names no node");
    r->out->goal.node = node;
    r->out->goal.n = n;
    if (list == NULL)
        return read_node(r, "node", &node[0]);
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < n && rc == PR_OK; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        rc = name == NULL ? pr_fail(r->err, PR_EINVAL, "nodes[%zu] is no name", i)
                          : find_node(r, name, &node[i]);
    }
    return rc;
}

static enum pr_code read_shard(const struct reading *r)
{
    const char *name = NULL;
    enum pr_code rc = member_text(r, "shard", &name);
    if (rc != PR_OK)
        return rc;
    for (size_t i = 0; i < r->fleet->shards; i++)
        if (strcmp(r->fleet->shard[i].id, name) == 0) {
            r->out->goal.shard = (int16_t)i;
            return PR_OK;
        }
    return pr_fail(r->err, PR_ENOTFOUND, "there is no shard %s", name);
}

static enum pr_code read_role(const struct reading *r)
{
    const json_t *v = json_object_get(r->goal, "role");
    const char *role = v == NULL ? "auto" : json_string_value(v);
    if (role == NULL ||
        (strcmp(role, "auto") != 0 && strcmp(role, "primary") != 0 && strcmp(role, "replica") != 0))
        return pr_fail(r->err, PR_EINVAL, "role is auto, primary or replica");
    r->out->goal.as_primary = strcmp(role, "primary") == 0;
    r->out->goal.as_replica = strcmp(role, "replica") == 0;
    return PR_OK;
}

/* "0-99,200": marks the slots as of this group. */
static enum pr_code read_ranges(const struct reading *r, const char *text, int16_t group,
                                int16_t *of_slot)
{
    for (const char *p = text; *p != '\0';) {
        char *end = NULL;
        const long first = strtol(p, &end, 10);
        long last = first;
        const bool number = end != p;
        if (number && *end == '-') {
            p = end + 1;
            last = strtol(p, &end, 10);
        }
        if (!number || end == p || (*end != '\0' && *end != ',') || first < 0 || last < first ||
            last >= REBALANCE_SLOTS)
            return pr_fail(r->err, PR_EINVAL,
                           "groups[%d]: '%.40s' is no list of slots such as "
                           "0-5460,7000",
                           group, text);
        for (long s = first; s <= last; s++) {
            if (of_slot[s] != REBALANCE_NONE)
                return pr_fail(r->err, PR_EINVAL, "slot %ld is in groups[%d] and groups[%d]", s,
                               of_slot[s], group);
            of_slot[s] = group;
        }
        p = *end == ',' ? end + 1 : end;
    }
    return PR_OK;
}

static enum pr_code read_groups(const struct reading *r)
{
    const json_t *list = json_object_get(r->goal, "groups");
    const size_t n = json_array_size(list);
    int16_t *of_slot = pr_arena_alloc(r->arena, REBALANCE_SLOTS * sizeof *of_slot);
    if (of_slot == NULL)
        return pr_fail(r->err, PR_ENOMEM, "the groups of a goal");
    if (n == 0 || n > r->fleet->shards)
        return pr_fail(r->err, PR_EINVAL, "%zu groups of slots for %zu shards", n,
                       r->fleet->shards);
    for (size_t s = 0; s < REBALANCE_SLOTS; s++)
        of_slot[s] = REBALANCE_NONE;
    r->out->goal.group_of_slot = of_slot;
    r->out->goal.groups = n;
    enum pr_code rc = PR_OK;
    for (size_t g = 0; g < n && rc == PR_OK; g++) {
        const char *text = json_string_value(json_array_get(list, g));
        rc = text == NULL ? pr_fail(r->err, PR_EINVAL, "groups[%zu] is no text", g)
                          : read_ranges(r, text, (int16_t)g, of_slot);
    }
    return rc;
}

static enum pr_code read_kind(const struct reading *r, const char *kind)
{
    struct rebalance_goal *goal = &r->out->goal;
    int k = REBALANCE_JOIN;
    while (k <= REBALANCE_ASSIGN &&
           strcmp(kind, rebalance_goal_name((enum rebalance_goal_kind)k)) != 0)
        k++;
    if (k > REBALANCE_ASSIGN)
        return pr_fail(r->err, PR_EINVAL, "unknown goal %s", kind);
    goal->kind = (enum rebalance_goal_kind)k;
    enum pr_code rc = PR_OK;
    switch (goal->kind) {
    case REBALANCE_JOIN:
        rc = read_nodes(r);
        return rc == PR_OK ? read_role(r) : rc;
    case REBALANCE_DRAIN:
        return read_nodes(r);
    case REBALANCE_REPLACE:
        rc = read_nodes(r);
        return rc == PR_OK ? read_node(r, "with", &goal->with) : rc;
    case REBALANCE_MOVE_REPLICA:
        rc = read_nodes(r);
        return rc == PR_OK ? read_shard(r) : rc;
    case REBALANCE_ASSIGN:
        return read_groups(r);
    case REBALANCE_BALANCE:
    case REBALANCE_FAILBACK:
        return PR_OK;
    }
    return PR_OK;
}

static void read_params(const json_t *params, struct rebalance_order_in *out)
{
    out->allow_big_keys = json_is_true(json_object_get(params, "allow_big_keys"));
    out->allow_no_replicas = json_is_true(json_object_get(params, "allow_no_replicas"));
    out->pairs = (int)json_integer_value(json_object_get(params, "pairs"));
    out->limits.max_bytes = json_number_value(json_object_get(params, "max_bytes"));
    const json_int_t slots = json_integer_value(json_object_get(params, "max_slots"));
    out->limits.max_slots = slots > 0 && slots <= REBALANCE_SLOTS ? (uint32_t)slots : 0;
}

enum pr_code rebalance_goal_read(const char *goal, const char *params,
                                 const struct rebalance_fleet *fleet, struct pr_arena *arena,
                                 struct rebalance_order_in *out, struct pr_err *err)
{
    json_t *g __attribute__((cleanup(free_json))) = json_loads(goal == NULL ? "" : goal, 0, NULL);
    json_t *p __attribute__((cleanup(free_json))) =
        json_loads(params == NULL ? "{}" : params, 0, NULL);
    const struct reading r = { .goal = g, .fleet = fleet, .arena = arena, .out = out, .err = err };
    const char *kind = NULL;
    *out =
        (struct rebalance_order_in){ .goal = { .with = REBALANCE_NONE, .shard = REBALANCE_NONE } };
    read_params(p, out);
    enum pr_code rc = member_text(&r, "kind", &kind);
    if (rc != PR_OK)
        return rc;
    out->repair = strcmp(kind, "repair") == 0;
    return out->repair || fleet == NULL ? PR_OK : read_kind(&r, kind);
}
