/* A small fleet for the tests of core/carry.h: two zones, a unit has one member in each; what the
 * provider, the tables and plans say of it is set by hand. */
#ifndef AUTOSCALE_CARRY_STAGE_H
#define AUTOSCALE_CARRY_STAGE_H

#include "t.h"

#include "core/carry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { S = 1000, MIN = 60 * S, T0 = 1000 * MIN, MEMBERS = 16, TARGETS = 2 };

static const struct autoscale_carry_pace pace = { .drain_ms = 30 * S,
                                                  .patience_ms = 15 * MIN,
                                                  .give_up_ms = 45 * MIN,
                                                  .again_ms = 10 * S,
                                                  .settle_ms = 4 * S };

static struct {
    struct autoscale_carry_facts f;
    struct autoscale_reported reported[TARGETS];
    bool names[TARGETS];
    struct autoscale_carry_member m[MEMBERS];
    char id[MEMBERS][8];
    struct autoscale_carry_plan plan;
    const char *plan_node[MEMBERS];
} w;
static struct autoscale_carry r, before;
static struct autoscale_carry_step step;

static const int zone[TARGETS] = { 0, 1 }, group[TARGETS] = { -1, -1 };

static inline struct autoscale_carry_member *add(int target, enum autoscale_presence presence,
                                                 bool member)
{
    const size_t i = w.f.members++;
    snprintf(w.id[i], sizeof w.id[i], "m%02zu", i);
    w.m[i] = (struct autoscale_carry_member){ .id = w.id[i],
                                              .target = target,
                                              .presence = presence,
                                              .registered = member,
                                              .addressed = true,
                                              .member = member,
                                              .up = member,
                                              .useful = member || !w.f.cluster };
    struct autoscale_reported *p = &w.reported[target];
    p->desired += presence != AUTOSCALE_ABSENT && presence != AUTOSCALE_GOING;
    p->in_service += presence == AUTOSCALE_HERE;
    p->coming += presence == AUTOSCALE_ARRIVING;
    p->leaving += presence == AUTOSCALE_GOING;
    return &w.m[i];
}

static inline void world(bool cluster, int each)
{
    memset(&w, 0, sizeof w);
    memset(&r, 0, sizeof r);
    w.f = (struct autoscale_carry_facts){ .now_ms = T0,
                                          .cluster = cluster,
                                          .unit = cluster ? 2 : 1,
                                          .reported = w.reported,
                                          .names = w.names,
                                          .targets = TARGETS,
                                          .member = w.m,
                                          .busy = "",
                                          .trouble = "" };
    for (int t = 0; t < TARGETS; t++) {
        w.reported[t] = (struct autoscale_reported){ .max = -1, .members_known = true };
        w.names[t] = true;
    }
    for (int i = 0; i < each; i++)
        for (int t = 0; t < TARGETS; t++)
            add(t, AUTOSCALE_HERE, cluster);
}

static inline enum pr_code begin(int to, int get, int give, const char *const *leave, size_t leaves,
                                 const char *const *back, size_t backs, struct pr_err *err)
{
    static struct autoscale_fleet fleet;
    const struct autoscale_place place[TARGETS] = {
        { .zone = 0, .group = -1, .get = get, .give = give, .back = backs > 0 },
        { .zone = 1, .group = -1, .get = get, .give = give, .back = backs > 0 },
    };
    const struct autoscale_intent in = { .fleet = &fleet,
                                         .place = place,
                                         .places = TARGETS,
                                         .to = to,
                                         .leave = leave,
                                         .back = back,
                                         .leaves = leaves,
                                         .backs = backs,
                                         .zone = zone,
                                         .group = group };
    return autoscale_carry_begin(&in, before.targets != 0 ? &before : NULL, &w.f, &r, err);
}

static inline void begin_out(int to, int get)
{
    struct pr_err err = { 0 };
    memset(&before, 0, sizeof before);
    assert_ok(begin(to, get, 0, NULL, 0, NULL, 0, &err), &err);
}

static inline void begin_in(int to, const char *a, const char *b)
{
    struct pr_err err = { 0 };
    const char *const leave[] = { a, b };
    memset(&before, 0, sizeof before);
    assert_ok(begin(to, 0, 1, leave, 2, NULL, 0, &err), &err);
}

static inline enum autoscale_act look(void)
{
    autoscale_carry_step(&pace, &w.f, &r, &step);
    return step.act;
}

static inline void expect(enum autoscale_act act, enum autoscale_phase phase)
{
    const enum autoscale_act got = look();
    if (got != act || r.phase != phase)
        fail_msg("%s in phase %s (%s), want %s in %s", autoscale_act_name(got),
                 autoscale_phase_name(r.phase), r.why, autoscale_act_name(act),
                 autoscale_phase_name(phase));
}

static inline void has_plan(enum autoscale_plan_state state, bool drains, const char *why,
                            int first, int n)
{
    w.plan = (struct autoscale_carry_plan){ .id = 7,
                                            .state = state,
                                            .drains = drains,
                                            .why = why,
                                            .node = w.plan_node,
                                            .nodes = (size_t)n };
    for (int i = 0; i < n; i++)
        w.plan_node[i] = w.m[first + i].id;
    w.f.plan = &w.plan;
    r.plan_id = 7;
}

/* Ordered and come: the two newest are to join. */
static inline void arrived(void)
{
    world(true, 3);
    begin_out(8, 1);
    expect(AUTOSCALE_ACT_ORDER, AUTOSCALE_PHASE_ORDERING);
    add(0, AUTOSCALE_HERE, false);
    expect(AUTOSCALE_ACT_ORDER, AUTOSCALE_PHASE_ORDERING);
    add(1, AUTOSCALE_HERE, false);
    expect(AUTOSCALE_ACT_REGISTER, AUTOSCALE_PHASE_JOINING);
    assert_int_equal(step.chosen, 2);
    w.m[6].registered = w.m[7].registered = true;
}

#endif
