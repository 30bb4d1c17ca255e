/* The AWS actuator's parts. */
#ifndef AUTOSCALE_AWS_PRIVATE_H
#define AUTOSCALE_AWS_PRIVATE_H

#include "io/actuators/retry.h"
#include "prism/xml.h"

#include "prism/arena.h"
#include "prism/buf.h"

struct aws {
    struct autoscale_actuator base; /* first: is what callers hold */
    struct autoscale_pace pace;
    struct pr_aws_keyring *ring;
    char endpoint[512], region[64], ca_file[512];
};

/* --- aws_call.c: one question ---------------------------------------------- */

struct aws_question {
    const char *who;    /* "aws group NAME", for errors */
    const char *action; /* "SetDesiredCapacity" */
    struct pr_buf more; /* "&Name=value..." */
};
void aws_param(struct aws_question *q, const char *name, const char *value); /* encodes */

/* The answer's tree lives in the arena. *unsure: no answer, or one that leaves open whether
 * the order was carried out. */
PR_CHECKED enum pr_code aws_ask(struct aws *a, const struct aws_question *q,
                                struct autoscale_try *t, struct pr_arena *arena,
                                const struct pr_xml **root, bool *unsure, struct pr_err *err);

struct aws_fault { /* an error code of the API, and what is to be done about it */
    const char *name;
    enum pr_code code;
    bool again;   /* another try may help */
    bool unsure;  /* it may have been carried out */
    bool refresh; /* other keys may help */
};
/* Never NULL: what it does not know it judges by the status. */
const struct aws_fault *aws_fault_of(const char *name, const char *message, long status);

/* --- aws_answer.c: what its answers say -------------------------------------- */

/* Takes over the groups of a page of DescribeAutoScalingGroups; seen[i]: target i was there.
 * PR_EDATA: names what is missing or wrong. */
PR_CHECKED enum pr_code aws_read_groups(const struct aws *a, const struct pr_xml *root,
                                        struct autoscale_report *out, bool *seen,
                                        struct pr_err *err);
/* The newest failure since then of DescribeScalingActivities into *r. */
void aws_read_activities(const struct pr_xml *root, int64_t since_ms, struct autoscale_reported *r);
enum autoscale_life aws_life(const char *state);
enum autoscale_problem aws_problem(const char *message);

#endif
