#include "api_goal.h"

#include "prism/slot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WHY = 500, MAX_CRON = 100, WEEK_MINUTES = 7 * 24 * 60, MAX_PAIRS = 16 };

/* Which members a kind of goal takes; all of them but role are then needed. */
static const struct {
    const char *name;
    bool nodes, role, node, with, shard, groups;
} goal_row[API_GOAL_COUNT] = {
    [API_JOIN] = { .name = "join", .nodes = true, .role = true },
    [API_DRAIN] = { .name = "drain", .nodes = true },
    [API_REPLACE] = { .name = "replace", .node = true, .with = true },
    [API_MOVE_REPLICA] = { .name = "move-replica", .node = true, .shard = true },
    [API_BALANCE] = { .name = "balance" },
    [API_FAILBACK] = { .name = "failback" },
    [API_REPAIR] = { .name = "repair" },
    [API_ASSIGN] = { .name = "assign", .groups = true },
};

const char *api_goal_name(enum api_goal_kind kind)
{
    return goal_row[kind].name;
}

bool api_goal_parse(const char *name, enum api_goal_kind *out)
{
    for (int k = 0; k < API_GOAL_COUNT; k++)
        if (strcmp(name, goal_row[k].name) == 0) {
            *out = (enum api_goal_kind)k;
            return true;
        }
    return false;
}

static void check_member(const char *field, bool given, bool taken, bool needed, const char *kind,
                         struct api_errors *errs)
{
    if (given && !taken)
        api_error(errs, field, "goal %s does not take it", kind);
    else if (!given && needed)
        api_error(errs, field, "is required by goal %s", kind);
}

static void check_id(const char *field, const char *id, struct api_errors *errs)
{
    if (id != NULL && !api_node_id_valid(id))
        api_error(errs, field, "a node's id");
}

static void check_nodes(const struct api_goal_in *in, struct api_errors *errs)
{
    char field[48];
    if (in->n_nodes == 0 || in->n_nodes > API_MAX_GOAL_NODES) {
        api_error(errs, "goal.nodes", "1 to %d nodes", API_MAX_GOAL_NODES);
        return;
    }
    for (size_t i = 0; i < in->n_nodes; i++) {
        snprintf(field, sizeof field, "goal.nodes[%zu]", i);
        if (in->nodes[i] == NULL || !api_node_id_valid(in->nodes[i])) {
            api_error(errs, field, "a node's id");
            continue;
        }
        for (size_t j = 0; j < i; j++)
            if (in->nodes[j] != NULL && strcmp(in->nodes[i], in->nodes[j]) == 0) {
                api_error(errs, field, "%s is named twice", in->nodes[i]);
                break;
            }
    }
}

/* Reads a decimal at *p without sign, of at most five digits; -1: none there. */
static int number_at(const char **p)
{
    int v = 0, digits = 0;
    for (; **p >= '0' && **p <= '9' && digits < 6; (*p)++, digits++)
        v = v * 10 + (**p - '0');
    return digits == 0 || digits == 6 ? -1 : v;
}

/* "0-5460,7000": marks the slots as of this group; false: malformed. */
static bool mark_group(const char *text, int group, int16_t *of_slot, int *twice)
{
    for (const char *p = text;; p++) {
        const int first = number_at(&p);
        int last = first;
        if (*p == '-') {
            p++;
            last = number_at(&p);
        }
        if (first < 0 || last < first || last >= (int)PR_SLOTS || (*p != ',' && *p != '\0'))
            return false;
        for (int s = first; s <= last; s++) {
            if (of_slot[s] >= 0 && *twice < 0)
                *twice = s;
            of_slot[s] = (int16_t)group;
        }
        if (*p == '\0')
            return true;
    }
}

static void check_groups(const struct api_goal_in *in, struct api_errors *errs)
{
    int16_t of_slot[PR_SLOTS];
    char field[48];
    memset(of_slot, 0xff, sizeof of_slot);
    if (in->n_groups == 0 || in->n_groups > API_MAX_GROUPS) {
        api_error(errs, "goal.groups", "1 to %d groups of slots", API_MAX_GROUPS);
        return;
    }
    for (size_t g = 0; g < in->n_groups; g++) {
        int twice = -1;
        snprintf(field, sizeof field, "goal.groups[%zu]", g);
        if (in->groups[g] == NULL || !mark_group(in->groups[g], (int)g, of_slot, &twice))
            api_error(errs, field, "slots such as \"0-5460,7000\", from 0 to %d",
                      (int)PR_SLOTS - 1);
        else if (twice >= 0)
            api_error(errs, field, "slot %d is named twice", twice);
    }
}

void api_check_goal(const struct api_goal_in *in, struct api_errors *errs)
{
    enum api_goal_kind k;
    if (in->kind == NULL || !api_goal_parse(in->kind, &k)) {
        api_error(errs, "goal.kind",
                  "one of join, drain, replace, move-replica, balance, failback, repair, assign");
        return;
    }
    const char *name = goal_row[k].name;
    check_member("goal.nodes", in->has_nodes, goal_row[k].nodes, goal_row[k].nodes, name, errs);
    check_member("goal.role", in->role != NULL, goal_row[k].role, false, name, errs);
    check_member("goal.node", in->node != NULL, goal_row[k].node, goal_row[k].node, name, errs);
    check_member("goal.with", in->with != NULL, goal_row[k].with, goal_row[k].with, name, errs);
    check_member("goal.shard", in->shard != NULL, goal_row[k].shard, goal_row[k].shard, name, errs);
    check_member("goal.groups", in->has_groups, goal_row[k].groups, goal_row[k].groups, name, errs);
    if (in->role != NULL && strcmp(in->role, "auto") != 0 && strcmp(in->role, "primary") != 0 &&
        strcmp(in->role, "replica") != 0)
        api_error(errs, "goal.role", "one of auto, primary, replica");
    check_id("goal.node", in->node, errs);
    check_id("goal.with", in->with, errs);
    check_id("goal.shard", in->shard, errs); /* a shard is named after one of its nodes */
    if (in->node != NULL && in->with != NULL && strcmp(in->node, in->with) == 0)
        api_error(errs, "goal.with", "another node than %s", in->node);
    if (in->has_nodes && goal_row[k].nodes)
        check_nodes(in, errs);
    if (in->has_groups && goal_row[k].groups)
        check_groups(in, errs);
}

static void check_caps(const char *prefix, bool has_slots, int64_t slots, bool has_bytes,
                       double bytes, struct api_errors *errs)
{
    char field[32];
    snprintf(field, sizeof field, "%smaxSlots", prefix);
    if (has_slots && (slots < 1 || slots > (int64_t)PR_SLOTS))
        api_error(errs, field, "a number from 1 to %d", (int)PR_SLOTS);
    snprintf(field, sizeof field, "%smaxBytes", prefix);
    if (has_bytes && !(bytes >= 1 && bytes <= 1e18))
        api_error(errs, field, "a number of bytes from 1 to 1e18");
}

void api_check_fleet_params(const struct api_fleet_params_in *in, struct api_errors *errs)
{
    check_caps("params.", in->has_max_slots, in->max_slots, in->has_max_bytes, in->max_bytes, errs);
    if (in->has_pairs && (in->pairs < 1 || in->pairs > MAX_PAIRS))
        api_error(errs, "params.pairs", "a number from 1 to %d", MAX_PAIRS);
}

/* --- cron -------------------------------------------------------------------- */

struct cron_field {
    int lo, hi;
    const char *names; /* of lo, lo + 1, ...: three letters each; "": none */
};

static bool named(const char *text, const char *name)
{
    for (int i = 0; i < 3; i++)
        if ((text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]) != name[i])
            return false;
    return true;
}

/* A number or a name in either case at *p; -1: neither. */
static int value_at(const char **p, const struct cron_field *f)
{
    const int v = number_at(p);
    if (v >= 0)
        return v;
    for (int i = 0; f->names[i] != '\0'; i += 3)
        if (named(*p, f->names + i)) {
            *p += 3;
            return f->lo + i / 3;
        }
    return -1;
}

/* One item at *p: *, a value or a range, and its step; its values into *bits. */
static bool item_valid(const char **p, const struct cron_field *f, uint64_t *bits)
{
    int first = f->lo, last = f->hi, step = 1;
    const bool all = **p == '*';
    if (all)
        (*p)++;
    else
        first = last = value_at(p, f);
    if (!all && **p == '-') {
        (*p)++;
        last = value_at(p, f);
        if (last == 0 && first > 0 && f->hi == 7)
            last = 7; /* fri-sun */
    } else if (!all && **p == '/') {
        last = f->hi;
    }
    if (**p == '/') {
        (*p)++;
        step = number_at(p);
    }
    if (first < f->lo || last < first || last > f->hi || step < 1 || step > f->hi)
        return false;
    for (int v = first; v <= last; v += step)
        *bits |= UINT64_C(1) << v;
    return true;
}

static bool field_valid(const char **p, const struct cron_field *f, uint64_t *bits)
{
    while (item_valid(p, f, bits)) {
        if (**p != ',')
            return true;
        (*p)++;
    }
    return false;
}

/* Some day of them is in some month of them; in a leap year, to be fair. */
static bool day_exists(uint64_t days, uint64_t months)
{
    static const int length[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    for (size_t m = 0; m < PR_COUNT(length); m++)
        for (int d = 1; d <= length[m]; d++)
            if ((months >> (m + 1) & 1) != 0 && (days >> d & 1) != 0)
                return true;
    return false;
}

bool api_cron_valid(const char *text)
{
    enum { DAY = 2, MONTH = 3, WEEKDAY = 4, FIELDS };
    static const struct cron_field field[FIELDS] = { { 0, 59, "" },
                                                     { 0, 23, "" },
                                                     { 1, 31, "" },
                                                     { 1, 12,
                                                       "janfebmaraprmayjunjulaugsepoctnovdec" },
                                                     { 0, 7, "sunmontuewedthufrisat" } };
    uint64_t bits[FIELDS] = { 0 };
    bool any[FIELDS];
    const char *p = text;
    for (size_t i = 0; i < FIELDS; i++) {
        any[i] = *p == '*';
        if (!field_valid(&p, &field[i], &bits[i]))
            return false;
        if (i + 1 < FIELDS && *p != ' ')
            return false;
        p += strspn(p, " ");
    }
    if (*p != '\0' || p[-1] == ' ' || strlen(text) > MAX_CRON)
        return false;
    /* a day and a weekday that are both given are alternatives */
    return (!any[DAY] && !any[WEEKDAY]) || day_exists(bits[DAY], bits[MONTH]);
}

void api_check_policy(const struct api_policy_in *in, struct api_errors *errs)
{
    char field[32];
    enum api_goal_kind kind;
    if (in->n_automatic > API_MAX_AUTO)
        api_error(errs, "auto", "at most %d kinds", API_MAX_AUTO);
    for (size_t i = 0; i < in->n_automatic && i < API_MAX_AUTO; i++) {
        snprintf(field, sizeof field, "auto[%zu]", i);
        if (in->automatic[i] == NULL || !api_goal_parse(in->automatic[i], &kind)) {
            api_error(errs, field,
                      "one of join, drain, replace, move-replica, balance, failback, repair, "
                      "assign");
            continue;
        }
        for (size_t j = 0; j < i; j++)
            if (in->automatic[j] != NULL && strcmp(in->automatic[i], in->automatic[j]) == 0)
                api_error(errs, field, "%s is named twice", in->automatic[i]);
    }
    if (in->has_window && (in->cron == NULL || !api_cron_valid(in->cron)))
        api_error(errs, "window.cron",
                  "five fields (minute hour day month weekday) such as \"0 3 * * sun\", on a day "
                  "that comes some time");
    if (in->has_window && (in->time_zone == NULL || in->time_zone[0] == '\0'))
        api_error(errs, "window.timeZone", "a time zone such as Europe/Berlin or UTC");
    if (in->has_window && (in->minutes < 1 || in->minutes > WEEK_MINUTES))
        api_error(errs, "window.minutes", "a number from 1 to %d", WEEK_MINUTES);
    check_caps("", in->has_max_slots, in->max_slots, in->has_max_bytes, in->max_bytes, errs);
}

/* --- pins -------------------------------------------------------------------- */

void api_check_pin(const char *kind, const char *value, const char *why, struct api_errors *errs)
{
    uint64_t slot;
    const bool is_slot = strcmp(kind, "slot") == 0;
    if (!is_slot && strcmp(kind, "shard") != 0 && strcmp(kind, "node") != 0)
        api_error(errs, "kind", "one of slot, shard, node");
    else if (is_slot && !api_number_parse(value, PR_SLOTS - 1, &slot))
        api_error(errs, "value", "a slot from 0 to %d", (int)PR_SLOTS - 1);
    else if (!is_slot && !api_node_id_valid(value))
        api_error(errs, "value", "the id of a %s", kind);
    if (why != NULL && strlen(why) > MAX_WHY)
        api_error(errs, "why", "at most %d bytes", MAX_WHY);
}
