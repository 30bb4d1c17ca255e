#include "json/carry.h"

#include "json/tables.h"

#include <string.h>

static const char *const phases[AUTOSCALE_PHASES] = { "begun",       "ordering", "arriving",
                                                      "joining",     "draining", "closing",
                                                      "terminating", "done",     "failed" };

#define T(member) F(struct autoscale_carry_target, member)
static const struct field target_rows[] = {
    { T(want), .kind = FIELD_INT, .lo = 0, .hi = 1e6 },
    { T(from), .kind = FIELD_INT },
    { T(ordered), .kind = FIELD_INT },
    { T(sent_ms), .kind = FIELD_I64 },
    { T(done_ms), .kind = FIELD_I64 },
    { T(lapsed), .kind = FIELD_BOOL, .flags = FIELD_OMIT_ZERO },
};
static const struct field_table target_fields =
    FIELD_TABLE(target_rows, struct autoscale_carry_target, NULL);

#define L(member) F(struct autoscale_leaver, member)
static const struct field leaver_rows[] = {
    { L(id), .kind = FIELD_TEXT, .cap = AUTOSCALE_CARRY_ID, .flags = FIELD_NEEDED },
    { L(target), .kind = FIELD_INT, .lo = -1, .hi = AUTOSCALE_CARRY_TARGETS - 1 },
    { L(out_ms), .kind = FIELD_I64 },
    { L(told_ms), .kind = FIELD_I64 },
    { L(late_ms), .kind = FIELD_I64, .flags = FIELD_OMIT_ZERO },
};
static const struct field_table leaver_fields =
    FIELD_TABLE(leaver_rows, struct autoscale_leaver, NULL);

static const struct field own_rows[] = {
    { "id", FIELD_TEXT, .cap = AUTOSCALE_CARRY_ID, .flags = FIELD_NEEDED },
};
static const struct field_table own_fields = FIELD_TABLE(own_rows, struct autoscale_own, NULL);

#define C(member) F(struct autoscale_carry, member)
#define LIST(title, member, size, table)                                                           \
    {                                                                                              \
        .name = title, .kind = FIELD_ARRAY, .at = offsetof(struct autoscale_carry, member),        \
        .cap = size, .count = offsetof(struct autoscale_carry, member##s), .count_is = COUNT_SIZE, \
        .of = &(table)                                                                             \
    }
static const struct field carry_rows[] = {
    { C(phase), .kind = FIELD_NAME, .names = phases, .cap = AUTOSCALE_PHASES },
    { C(begun_ms), .kind = FIELD_I64 },
    { C(phase_ms), .kind = FIELD_I64 },
    { C(ended_ms), .kind = FIELD_I64 },
    { C(looked_ms), .kind = FIELD_I64 },
    { C(lapsed), .kind = FIELD_BOOL, .flags = FIELD_OMIT_ZERO },
    { C(groups), .kind = FIELD_I64 },
    LIST("targets", target, AUTOSCALE_CARRY_TARGETS, target_fields),
    LIST("leavers", leaver, AUTOSCALE_CHOSEN, leaver_fields),
    LIST("own", own, AUTOSCALE_CHOSEN, own_fields),
    { C(plan_id), .kind = FIELD_I64 },
    { C(plan_cancel), .kind = FIELD_BOOL },
    { C(plan_given_up), .kind = FIELD_BOOL },
    { C(join_plans), .kind = FIELD_INT },
    { C(drain_plans), .kind = FIELD_INT },
    { C(plan_after_ms), .kind = FIELD_I64 },
    { C(settled_ms), .kind = FIELD_I64 },
    { C(held_ms), .kind = FIELD_I64 },
    { C(failing), .kind = FIELD_TEXT, .cap = sizeof((struct autoscale_carry *)0)->failing },
    { C(alarm), .kind = FIELD_BOOL },
    { C(why), .kind = FIELD_TEXT, .cap = sizeof((struct autoscale_carry *)0)->why },
};
static const struct field_table carry_fields =
    FIELD_TABLE(carry_rows, struct autoscale_carry, NULL);

json_t *autoscale_json_carry_write(const struct autoscale_carry *c)
{
    return fields_write(NULL, &carry_fields, c);
}

enum pr_code autoscale_json_carry_read(const json_t *o, struct autoscale_carry *out,
                                       struct pr_err *err)
{
    struct field_ctx c = { .err = err };
    memset(out, 0, sizeof *out);
    (void)field_enter(&c, "carry", 0);
    return fields_read(&c, &carry_fields, o, NULL, out);
}
