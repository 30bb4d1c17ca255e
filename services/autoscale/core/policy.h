/* A policy: settings, a view and what it remembers in, a vote out. Pure: equal inputs give
 * equal votes on every machine. Policies propose; core/decide.h makes one decision of their
 * votes, within floors, limits and budgets. Source: docs/explanation/autoscale.md. */
#ifndef AUTOSCALE_POLICY_H
#define AUTOSCALE_POLICY_H

#include "core/adaptive.h"
#include "core/aws.h"
#include "core/history.h"
#include "core/hpa.h"
#include "core/queue.h"
#include "core/rules.h"
#include "core/vote.h"

enum autoscale_kind {
    AUTOSCALE_RULES,
    AUTOSCALE_STEP,
    AUTOSCALE_TARGET,
    AUTOSCALE_HPA,
    AUTOSCALE_ADAPTIVE,
    AUTOSCALE_QUEUE,
    AUTOSCALE_KINDS
};
const char *autoscale_kind_name(enum autoscale_kind k); /* "rules", "step", ... */
/* PR_EINVAL: lists the names that there are. */
PR_CHECKED enum pr_code autoscale_kind_parse(const char *name, enum autoscale_kind *out,
                                             struct pr_err *err);

struct autoscale_policy {
    enum autoscale_kind kind;
    union {
        struct autoscale_rules rules;
        struct autoscale_step_policy step;
        struct autoscale_target_policy target;
        struct autoscale_hpa_policy hpa;
        struct autoscale_adaptive adaptive;
        struct autoscale_queue queue;
    } is;
};
/* With every setting at its documented default. */
void autoscale_policy_default(enum autoscale_kind kind, struct autoscale_policy *out);

/* What a policy carries from one evaluation to the next; zeroed: nothing yet. A plain
 * value: copied into what is stored with a decision, and equal when its bytes are. */
struct autoscale_memory {
    struct autoscale_hpa_memory hpa;
    struct autoscale_target_memory target;
    struct autoscale_adaptive_memory adaptive;
};

/* Evaluates once, normally once a minute; reads of the view what came since the last time.
 * A view that autoscale_view_check refuses makes a vote to hold, with the reason. */
void autoscale_policy_vote(const struct autoscale_policy *policy, struct autoscale_memory *memory,
                           const struct autoscale_view *view, struct autoscale_vote *out);

#endif
