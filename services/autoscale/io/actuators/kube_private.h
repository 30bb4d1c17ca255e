/* The Kubernetes actuator's parts. */
#ifndef AUTOSCALE_KUBE_PRIVATE_H
#define AUTOSCALE_KUBE_PRIVATE_H

#include "io/actuators/retry.h"

#include <jansson.h>

struct kube {
    struct autoscale_actuator base; /* first: is what callers hold */
    struct autoscale_pace pace;
    char endpoint[512], space[64], token_file[512], ca_file[512];
    char owner[128]; /* of marks */
};

/* --- kube_call.c: one question ------------------------------------------------ */

struct kube_question {
    const char *method, *path; /* below the endpoint, with its query */
    const char *body;          /* a merge patch; NULL: none */
    const char *who;           /* "kubernetes deployments/NAME", for errors */
};

/* *out: the answer's object; release with json_decref. *unsure: no answer, or one that leaves
 * open whether the change was made. PR_ECONFLICT is to be answered by reading again. */
PR_CHECKED enum pr_code kube_ask(struct kube *k, const struct kube_question *q,
                                 struct autoscale_try *t, json_t **out, bool *unsure,
                                 struct pr_err *err);

struct kube_scale {   /* the scale subresource */
    int wanted, runs; /* spec.replicas, status.replicas */
    char version[64]; /* metadata.resourceVersion */
    char selector[512];
};
PR_CHECKED enum pr_code kube_read_scale(struct kube *k, size_t target, struct autoscale_try *t,
                                        struct kube_scale *out, struct pr_err *err);
/* Only if it is still what was read; out->wanted is then what it says. */
PR_CHECKED enum pr_code kube_write_scale(struct kube *k, size_t target, int n,
                                         struct autoscale_try *t, struct kube_scale *scale,
                                         bool *unsure, struct pr_err *err);
/* "kubernetes deployments/NAME" */
void kube_who(const struct kube *k, size_t target, char who[AUTOSCALE_TARGET_NAME + 16]);

/* --- kube_pods.c: who they are --------------------------------------------------- */

/* Adds the target's pods; its counts are then theirs. PR_EDENIED: we may not list them. */
PR_CHECKED enum pr_code kube_read_pods(struct kube *k, size_t target, const char *selector,
                                       struct autoscale_try *t, struct autoscale_report *out,
                                       struct pr_err *err);
/* Makes a Deployment's pod the first to go among the ready ones; or, not `first`, one like the
 * others. */
PR_CHECKED enum pr_code kube_mark(struct kube *k, size_t target, const char *pod, bool first,
                                  struct autoscale_try *t, struct pr_err *err);
/* Why a Deployment makes no more pods, as its conditions say; asked only where some miss. */
PR_CHECKED enum pr_code kube_read_reason(struct kube *k, size_t target, struct autoscale_try *t,
                                         struct autoscale_reported *r, struct pr_err *err);
#endif
