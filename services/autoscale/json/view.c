#include "json/tables.h"

#include <math.h>

/* Latest time that is read: the year 2500. */
#define TIME_MS .kind = FIELD_I64, .lo = 0, .hi = 16725225600000.0
/* Of what is measured: any, as long as differences do not overflow. */
#define ANY_MS  .kind = FIELD_I64, .lo = -4e18, .hi = 4e18
#define UNKNOWN .flags = FIELD_NULLABLE | FIELD_OMIT_NAN
#define MEMBERS .kind = FIELD_INT, .lo = 0, .hi = 1e6

/* What is measured is not judged here: negative or absurd figures make a vote to hold. */
#define S(member) F(struct autoscale_sample, member)
static const struct field sample_rows[] = {
    { S(at_ms), ANY_MS, .flags = FIELD_NEEDED },
    { S(cpu_pct), .kind = FIELD_REAL, UNKNOWN },
    { S(memory_pct), .kind = FIELD_REAL, UNKNOWN },
    { S(network_bps), .kind = FIELD_REAL, UNKNOWN },
    { S(backlog), .kind = FIELD_REAL, UNKNOWN },
    { S(load), .kind = FIELD_REAL, UNKNOWN },
    { S(serving), .kind = FIELD_INT, .flags = FIELD_OMIT_ZERO },
    { S(silent), .kind = FIELD_INT, .flags = FIELD_OMIT_ZERO },
};
static void sample_defaults(void *one)
{
    struct autoscale_sample *s = one;
    s->cpu_pct = s->memory_pct = s->network_bps = s->backlog = s->load = NAN;
}
static const struct field_table sample_fields =
    FIELD_TABLE(sample_rows, struct autoscale_sample, sample_defaults);

#define M(member) F(struct autoscale_member, member)
static const struct field member_rows[] = {
    { M(id), .kind = FIELD_WORDS, .flags = FIELD_NEEDED },
    { M(cpu_pct), .kind = FIELD_REAL, UNKNOWN },
    { M(memory_pct), .kind = FIELD_REAL, UNKNOWN },
    { M(network_bps), .kind = FIELD_REAL, UNKNOWN },
    { M(metric_at_ms), ANY_MS, .flags = FIELD_OMIT_ZERO },
    { M(metric_window_ms), ANY_MS, .flags = FIELD_OMIT_ZERO },
    { M(started_ms), ANY_MS, .flags = FIELD_OMIT_ZERO },
    { M(ready_since_ms), ANY_MS, .flags = FIELD_OMIT_ZERO },
    { M(ready), .kind = FIELD_BOOL },
    { M(leaving), .kind = FIELD_BOOL, .flags = FIELD_OMIT_ZERO },
    { M(failed), .kind = FIELD_BOOL, .flags = FIELD_OMIT_ZERO },
};
static void member_defaults(void *one)
{
    struct autoscale_member *m = one;
    m->cpu_pct = m->memory_pct = m->network_bps = NAN;
    m->ready = true;
}
static const struct field_table member_fields =
    FIELD_TABLE(member_rows, struct autoscale_member, member_defaults);

#define A(member) F(struct autoscale_action, member)
static const struct field action_rows[] = {
    { A(at_ms), TIME_MS, .flags = FIELD_NEEDED },
    { A(from), MEMBERS, .flags = FIELD_NEEDED },
    { A(to), MEMBERS, .flags = FIELD_NEEDED },
};
static const struct field_table action_fields =
    FIELD_TABLE(action_rows, struct autoscale_action, NULL);

#define L(member) F(struct autoscale_means, member)
static const struct field longer_rows[] = {
    { L(minutes), .kind = FIELD_INT, .lo = 0, .hi = 360, .flags = FIELD_NEEDED },
    { L(cpu_pct), .kind = FIELD_REAL, .flags = FIELD_NULLABLE | FIELD_NEEDED },
    { L(memory_pct), .kind = FIELD_REAL, .flags = FIELD_NULLABLE | FIELD_NEEDED },
    { L(network_bps), .kind = FIELD_REAL, .flags = FIELD_NULLABLE | FIELD_NEEDED },
};
static const struct field_table longer_fields =
    FIELD_TABLE(longer_rows, struct autoscale_means, NULL);

/* Limits are not among them: they are the fleet's. */
#define V(member) F(struct autoscale_view, member)
#define LIST(title, member, table)                                                                 \
    {                                                                                              \
        .name = title, .kind = FIELD_LIST, .at = offsetof(struct autoscale_view, member),          \
        .count = offsetof(struct autoscale_view, member##s), .count_is = COUNT_SIZE,               \
        .of = &(table), .flags = FIELD_OMIT_ZERO                                                   \
    }
static const struct field view_rows[] = {
    { V(now_ms), TIME_MS },
    { V(desired), MEMBERS, .flags = FIELD_NEEDED },
    { V(serving), MEMBERS },
    { V(useful_after_ms), .kind = FIELD_I64, .lo = 0, .hi = 864e5, .flags = FIELD_OMIT_ZERO },
    LIST("samples", sample, sample_fields),
    LIST("members", member, member_fields),
    LIST("actions", action, action_fields),
    { V(longer), .kind = FIELD_OBJECT, .of = &longer_fields },
};
const struct field_table autoscale_view_fields =
    FIELD_TABLE(view_rows, struct autoscale_view, NULL);

#define N(member) F(struct autoscale_node, member)
static const struct field node_rows[] = {
    { N(id), .kind = FIELD_WORDS, .flags = FIELD_NEEDED },
    { N(shard), .kind = FIELD_WORDS, .flags = FIELD_OMIT_ZERO },
    { N(zone), .kind = FIELD_ZONE, .flags = FIELD_NEEDED },
    { N(group), .kind = FIELD_GROUP, .flags = FIELD_OMIT_NAN },
    { N(primary), .kind = FIELD_BOOL, .flags = FIELD_OMIT_ZERO },
    { N(bytes), .kind = FIELD_U64, .flags = FIELD_OMIT_ZERO },
    { N(slots), .kind = FIELD_INT, .lo = 0, .hi = 16384, .flags = FIELD_OMIT_ZERO },
    { N(unsized), .kind = FIELD_BOOL, .flags = FIELD_OMIT_ZERO },
    { N(traffic), .kind = FIELD_REAL, .lo = 0, .hi = 1e300, .flags = FIELD_OMIT_ZERO },
    { N(leaving), .kind = FIELD_BOOL, .flags = FIELD_OMIT_ZERO },
    { N(failed), .kind = FIELD_BOOL, .flags = FIELD_OMIT_ZERO },
};
static void node_defaults(void *one)
{
    struct autoscale_node *n = one;
    n->shard = "";
    n->group = -1;
}
const struct field_table autoscale_node_fields =
    FIELD_TABLE(node_rows, struct autoscale_node, node_defaults);
