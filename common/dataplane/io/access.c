#include "prism/dp/access.h"

#include "prism/dp/tool_args.h"
#include "prism/io/bus.h"
#include "prism/io/log.h"
#include "prism/v1/edges.pb-c.h"

#include <stdlib.h>
#include <string.h>

enum { A_MESSAGE = 8192 /* partitions: about 60 KB packed, well below what NATS takes */ };

struct dp_access {
    struct pr_bus *bus;
    uint32_t partitions;
    atomic_uint *count; /* [partitions] */
    uint32_t partition[A_MESSAGE];
    uint64_t operations[A_MESSAGE];
};

struct env {
    pr_cfg_STR url, user, password;
};

static const struct pr_cfg_row env_rows[] = {
    { .name = "PRISM_NATS_URL",
      .dflt = "",
      .help = "nats://host:port",
      .type = PR_CFG_STR,
      .offset = offsetof(struct env, url),
      .max = 1024 },
    { .name = "PRISM_NATS_USER",
      .dflt = "",
      .help = "NATS user",
      .type = PR_CFG_STR,
      .offset = offsetof(struct env, user),
      .max = 128 },
    { .name = "PRISM_NATS_PASSWORD",
      .dflt = "",
      .help = "its password",
      .type = PR_CFG_STR,
      .offset = offsetof(struct env, password),
      .max = 512,
      .flags = PR_CFG_SECRET },
};

static enum pr_code open_bus(struct dp_access *a, struct pr_err *err)
{
    struct env env = { NULL, NULL, NULL };
    enum pr_code rc = dp_env_read(env_rows, PR_COUNT(env_rows), &env, err);
    if (rc == PR_OK && env.url[0] == '\0')
        rc = pr_fail(err, PR_EINVAL, "--tell: PRISM_NATS_URL is not set");
    const struct pr_bus_options o = {
        .url = env.url, .user = env.user, .password = env.password, .name = "prism client"
    };
    if (rc == PR_OK)
        rc = pr_bus_open(&a->bus, &o, err);
    pr_config_free(env_rows, PR_COUNT(env_rows), &env);
    return rc;
}

enum pr_code dp_access_open(struct dp_access **out, uint32_t partitions, struct pr_err *err)
{
    struct dp_access *a = calloc(1, sizeof *a);
    if (a != NULL)
        a->count = calloc(partitions, sizeof *a->count);
    if (a == NULL || a->count == NULL) {
        free(a);
        return pr_fail(err, PR_ENOMEM, "counters of %u partitions", partitions);
    }
    a->partitions = partitions;
    const enum pr_code rc = open_bus(a, err);
    if (rc != PR_OK) {
        dp_access_close(a);
        return rc;
    }
    *out = a;
    return PR_OK;
}

atomic_uint *dp_access_counters(struct dp_access *a)
{
    return a->count;
}

static void send(struct dp_access *a, size_t n, int64_t now_ms)
{
    Prism__V1__PartitionAccessEvent e = PRISM__V1__PARTITION_ACCESS_EVENT__INIT;
    struct pr_err err = { 0 };
    e.at_ms = now_ms;
    e.sample_ratio = 1; /* all of them were counted */
    e.partition = a->partition;
    e.operations = a->operations;
    e.n_partition = e.n_operations = n;
    uint8_t *packed = malloc(prism__v1__partition_access_event__get_packed_size(&e));
    if (packed == NULL)
        return;
    const size_t len = prism__v1__partition_access_event__pack(&e, packed);
    if (pr_bus_tell(a->bus, "prism.edges.access", packed, len, &err) != PR_OK)
        pr_debug(PR_EV("access.untold"), PR_E(&err));
    free(packed);
}

void dp_access_tell(struct dp_access *a, int64_t now_ms)
{
    size_t n = 0;
    for (uint32_t p = 0; p < a->partitions; p++) {
        const unsigned used = atomic_load_explicit(&a->count[p], memory_order_relaxed) == 0
                                  ? 0
                                  : atomic_exchange(&a->count[p], 0);
        if (used == 0)
            continue;
        a->partition[n] = p;
        a->operations[n++] = used;
        if (n == A_MESSAGE) {
            send(a, n, now_ms);
            n = 0;
        }
    }
    if (n > 0)
        send(a, n, now_ms);
}

void dp_access_close(struct dp_access *a)
{
    if (a == NULL)
        return;
    pr_bus_close(a->bus);
    free(a->count);
    free(a);
}
