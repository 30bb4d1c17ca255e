/* The actuator of a fleet, opened with the settings of the service. */
#ifndef AUTOSCALE_PROVIDERS_H
#define AUTOSCALE_PROVIDERS_H

#include "io/actuators/actuator.h"
#include "io/fleets.h"

/* wait: as of autoscale_pace; say: what a dry run would do. PR_EINVAL: names the setting. */
struct autoscale_provider_ctx {
    const struct autoscale_config *cfg;
    const char *owner; /* of marks; as of autoscale_provider */
    bool (*wait)(void *ctx, int64_t ms);
    void *wait_ctx;
    void (*say)(void *ctx, const char *what);
    void *say_ctx;
};
PR_CHECKED enum pr_code autoscale_provider_open(const struct autoscale_provider_ctx *ctx,
                                                const struct autoscale_setup *setup,
                                                struct autoscale_actuator **out,
                                                struct pr_err *err);

#endif
