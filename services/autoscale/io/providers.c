#include "io/providers.h"

#include "io/gather.h"

#include "prism/io/clock.h"

#include <stdlib.h>
#include <string.h>

static const char *or_null(const char *s)
{
    return s[0] == '\0' ? NULL : s;
}

static enum pr_code open_one(const struct autoscale_provider_ctx *ctx,
                             const struct autoscale_setup *setup, enum autoscale_provider_kind kind,
                             const struct autoscale_target *target,
                             struct autoscale_actuator *beneath, struct autoscale_actuator **out,
                             struct pr_err *err)
{
    const struct autoscale_config *cfg = ctx->cfg;
    struct autoscale_provider p = {
        .kind = autoscale_provider_name(kind),
        .target = target,
        .targets = setup->targets,
        .pace = { .deadline_ms = cfg->call_ms,
                  .timeout_ms = cfg->request_ms,
                  .seed = (uint64_t)pr_mono_us(),
                  .wait = ctx->wait,
                  .ctx = ctx->wait_ctx },
        .beneath = beneath,
        .say = ctx->say,
        .say_ctx = ctx->say_ctx,
    };
    enum pr_code rc = PR_OK;
    switch (kind) {
    case AUTOSCALE_BY_AWS:
        p.endpoint = cfg->aws_autoscaling_url;
        p.ca_file = or_null(cfg->aws_ca_file);
        p.region = setup->region[0] != '\0' ? setup->region : cfg->aws_region;
        rc = pr_aws_source_of(&PR_AWS_SETTINGS(cfg, "prism-autoscale", cfg->request_ms), &p.keys,
                              err);
        break;
    case AUTOSCALE_BY_KUBERNETES:
        p.endpoint = cfg->kubernetes_url;
        p.ca_file = or_null(cfg->kubernetes_ca_file);
        p.token_file = or_null(cfg->kubernetes_token_file);
        p.space = or_null(setup->space);
        p.owner = ctx->owner;
        break;
    case AUTOSCALE_BY_LOCAL:
        p.command = cfg->local_command;
        break;
    case AUTOSCALE_BY_DRY_RUN:
    case AUTOSCALE_BY_NOBODY:
    case AUTOSCALE_PROVIDER_KINDS:
        break;
    }
    if (rc == PR_OK)
        rc = autoscale_actuator_open(&p, out, err);
    explicit_bzero(&p.keys, sizeof p.keys);
    return rc;
}

enum pr_code autoscale_provider_open(const struct autoscale_provider_ctx *ctx,
                                     const struct autoscale_setup *setup,
                                     struct autoscale_actuator **out, struct pr_err *err)
{
    struct autoscale_actuator *beneath = NULL;
    struct autoscale_target *target = calloc(setup->targets + 1, sizeof *target);
    enum pr_code rc = target == NULL ? pr_fail(err, PR_ENOMEM, "no memory") : PR_OK;
    for (size_t i = 0; rc == PR_OK && i < setup->targets; i++) {
        memcpy(target[i].name, setup->target[i].name, sizeof target[i].name);
        target[i].zone = setup->target[i].zone;
        target[i].group = setup->target[i].group;
    }
    if (rc == PR_OK && setup->provider == AUTOSCALE_BY_DRY_RUN &&
        setup->beneath != AUTOSCALE_BY_NOBODY)
        rc = open_one(ctx, setup, setup->beneath, target, NULL, &beneath, err);
    if (rc == PR_OK) {
        rc = open_one(ctx, setup, setup->provider, target, beneath, out, err);
        if (rc != PR_OK)
            autoscale_actuator_close(beneath);
    }
    free(target);
    return rc;
}
