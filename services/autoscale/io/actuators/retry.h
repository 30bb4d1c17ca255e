/* What actuators share: trying again, and filling reports. */
#ifndef AUTOSCALE_RETRY_H
#define AUTOSCALE_RETRY_H

#include "io/actuators/actuator.h"

struct autoscale_try {
    int64_t until_ms;    /* in: the deadline, by the pace's clock */
    bool again;          /* out: another try may help */
    int64_t at_least_ms; /* out: but not before that */
};
typedef enum pr_code autoscale_try_fn(void *ctx, struct autoscale_try *t, struct pr_err *err);

/* Calls once() until it succeeds, says that no other try helps, or the deadline is near. */
PR_CHECKED enum pr_code autoscale_retry(struct autoscale_pace *pace, autoscale_try_fn *once,
                                        void *ctx, struct pr_err *err);
void autoscale_pace_fill(struct autoscale_pace *pace); /* the defaults */
/* For one question now; <= 0: the deadline has passed. */
long autoscale_timeout_ms(const struct autoscale_pace *pace, const struct autoscale_try *t);

/* Does the status alone say "later"? 429, 5xx. */
bool autoscale_status_later(long status);

/* Room for n targets, all zero. */
PR_CHECKED enum pr_code autoscale_report_init(struct autoscale_report *r, size_t n,
                                              struct pr_err *err);
/* Appends, and counts it in its target; one that is gone is neither. */
PR_CHECKED enum pr_code autoscale_report_add(struct autoscale_report *r,
                                             const struct autoscale_instance *i,
                                             struct pr_err *err);
/* One instance by its id; NULL. */
const struct autoscale_instance *autoscale_report_find(const struct autoscale_report *r,
                                                       size_t target, const char *id);
/* Every target answers with that code and words. */
void autoscale_report_fail(struct autoscale_report *r, enum pr_code code, const char *words);

/* May the group's number go to desired_after for this one member? PR_OK: yes, or *already. */
PR_CHECKED enum pr_code autoscale_may_lower(int reported, int desired_after, bool *already,
                                            struct pr_err *err);
#endif
