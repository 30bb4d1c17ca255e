/* What prism-load and prism-workload share: the store's settings from the
 * environment (PRISM_REDIS_SEEDS, _USER, _PASSWORD or _PASSWORD_FILE) or the
 * command line, numbers from arguments, signals. */
#ifndef PRISM_DP_TOOL_ARGS_H
#define PRISM_DP_TOOL_ARGS_H

#include "prism/io/config.h"
#include "prism/io/redis.h"

#include <stdatomic.h>

struct dp_store {
    char *seeds, *user, *password; /* owned; user may be "" */
    uint32_t partitions;           /* 0: not given yet */
    int timeout_ms;                /* of one connection */
};

/* Settings from the environment into what rows describe, which the caller frees
 * (pr_config_free) also after an error. PR_EINVAL names all that is wrong. */
PR_CHECKED enum pr_code dp_env_read(const struct pr_cfg_row *rows, size_t n, void *settings,
                                    struct pr_err *err);
PR_CHECKED enum pr_code dp_store_from_env(struct dp_store *s, struct pr_err *err);
void dp_store_done(struct dp_store *s);
/* Replaces an owned string. */
PR_CHECKED enum pr_code dp_set(char **field, const char *value, struct pr_err *err);
/* Fails unless seeds and partitions are there; names what is missing. */
PR_CHECKED enum pr_code dp_store_check(const struct dp_store *s, struct pr_err *err);
PR_CHECKED enum pr_code dp_store_open(const struct dp_store *s, struct pr_cluster **c,
                                      struct pr_err *err);
/* Opens it and checks every primary (pr_cluster_check). A fail-over under way is waited for:
 * PR_EUNAVAIL only when a node that is known has not been replaced in half a minute. *c is
 * the caller's whatever comes, NULL or not. */
PR_CHECKED enum pr_code dp_store_ready(const struct dp_store *s, struct pr_cluster **c,
                                       struct pr_err *err);
/* Fewest replicas that any primary with slots has, failed ones included. */
int dp_replicas(const struct pr_topology *t);

/* Values of options; the error names the option, the value and the range. */
PR_CHECKED enum pr_code dp_arg_integer(const char *option, const char *text, long long lo,
                                       long long hi, long long *out, struct pr_err *err);
PR_CHECKED enum pr_code dp_arg_real(const char *option, const char *text, double lo, double hi,
                                    double *out, struct pr_err *err);

/* SIGTERM and SIGINT set the flag from now on; the second SIGINT kills. */
const atomic_bool *dp_stop_on_signal(void);

/* Prints the error: {"error":...,"code":...} with json, else "name: text". */
void dp_tool_failed(const char *name, bool json, const struct pr_err *err);

#endif
