/* What others ask of autoscale by NATS (proto/prism/v1/autoscale.proto): are settings fit,
 * what would they have done with what was recorded, is a decision what would be decided again.
 * Any replica answers. */
#ifndef AUTOSCALE_ANSWERS_H
#define AUTOSCALE_ANSWERS_H

#include "io/settings.h"

#include "prism/io/service.h"

struct autoscale_answers; /* for several threads */

PR_CHECKED enum pr_code autoscale_answers_open(struct autoscale_answers **out,
                                               struct pr_service *svc,
                                               const struct autoscale_config *cfg,
                                               struct pr_err *err);
void autoscale_answers_stop(struct autoscale_answers *a);  /* what takes long ends; NULL is fine */
void autoscale_answers_close(struct autoscale_answers *a); /* NULL is fine */

/* pr_rpc_fn; ctx: struct autoscale_answers. */
enum pr_code autoscale_answers_check(void *ctx, const struct pr_msg *msg, void **reply, size_t *len,
                                     struct pr_err *err);
enum pr_code autoscale_answers_simulate(void *ctx, const struct pr_msg *msg, void **reply,
                                        size_t *len, struct pr_err *err);
enum pr_code autoscale_answers_replay(void *ctx, const struct pr_msg *msg, void **reply,
                                      size_t *len, struct pr_err *err);

#endif
