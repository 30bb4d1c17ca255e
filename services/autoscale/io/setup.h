/* The settings of a fleet as they are stored (autoscale_fleets.settings): what it is made of,
 * policies, where its figures come from, who brings members. Field by field in
 * docs/reference/autoscale-json.md.
 *
 *     {"kind": "redis", "mode": "act", "fleet": {"like": "redis", ...},
 *      "policies": [...], "combine": "first", "schedule": [...], "budget": {...},
 *      "sources": [{"kind": "redis", "vcpus": 16, "memory_gb": 128}, ...],
 *      "actuator": {"kind": "aws", "region": "us-west-2", "drain_s": 30, "patience_s": 900,
 *                   "targets": [{"name": "hot-a-1", "zone": "us-west-2a", "group": "hot-a-1"}]}}
 *
 * No address, key or file stands here: those are settings of the service. */
#ifndef AUTOSCALE_SETUP_H
#define AUTOSCALE_SETUP_H

#include "core/decide.h"
#include "io/collectors/sources.h"

#include <jansson.h>

enum { AUTOSCALE_SETUP_TARGETS = 80, AUTOSCALE_SETUP_NAME = 256 };

enum autoscale_provider_kind {
    AUTOSCALE_BY_NOBODY, /* no actuator: advice alone */
    AUTOSCALE_BY_LOCAL,
    AUTOSCALE_BY_AWS,
    AUTOSCALE_BY_KUBERNETES,
    AUTOSCALE_BY_DRY_RUN,
    AUTOSCALE_PROVIDER_KINDS
};
const char *autoscale_provider_name(enum autoscale_provider_kind k); /* "local", ... */

struct autoscale_setup_target {
    char name[AUTOSCALE_SETUP_NAME];
    int zone, group; /* group -1: none */
};

struct autoscale_setup {
    struct pr_arena arena; /* holds what the pointers point to */
    struct autoscale_fleet fleet;
    struct autoscale_settings settings;
    enum { AUTOSCALE_SINGLE, AUTOSCALE_REDIS } kind; /* redis: members of the Redis Cluster */
    enum { AUTOSCALE_ADVISE, AUTOSCALE_ACT } mode;
    struct autoscale_sources sources;
    int settle_s; /* a minute's figures are awaited so long; -1: as its sources need */

    enum autoscale_provider_kind provider, beneath; /* beneath a dry run */
    struct autoscale_setup_target target[AUTOSCALE_SETUP_TARGETS];
    size_t targets;
    char region[64], space[64], address[160]; /* address: "{id}.example:6379" of a new member */
    int drain_s, patience_s;
};

/* name: of the fleet, which its settings need not repeat. Large: keep it on the heap; done
 * also after a failure. PR_EINVAL names the path: "sources[1].query: is missing". */
PR_CHECKED enum pr_code autoscale_setup_read(const json_t *o, const char *name,
                                             struct autoscale_setup *out, struct pr_err *err);
void autoscale_setup_done(struct autoscale_setup *s);

/* It acts: mode act, and its actuator is no dry run. */
bool autoscale_setup_acts(const struct autoscale_setup *s);

#endif
