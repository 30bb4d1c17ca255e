/* Moved keys are on one node only until its replicas have them, and a deletion that a
 * replica has not heard of comes back when that replica leads. MIGRATE wrote over
 * another connection than ours, and what lies there may have been moved by others, of
 * which no WAIT of ours speaks: so offsets are compared. */
#include "core/slot/drain.h"
#include "io/fleet/repair_private.h"
#include "io/slot/copies.h"
#include "io/slot/shard.h"

#include "prism/io/clock.h"

#include <stdio.h>

enum { SETTLE_MS = 5000 };

struct writes {
    long long written, acked;
    int live; /* replicas in step */
};

static enum pr_code ask(struct repair *r, struct repair_primary *p, struct writes *out,
                        struct pr_err *err)
{
    struct pr_redis *conn = NULL;
    PR_AUTO(redisReply) *info = NULL;
    enum pr_code rc = repair_conn(r, p, &conn, err);
    if (rc == PR_OK)
        rc = pr_redis_command(conn, &info, err, "INFO replication");
    if (rc != PR_OK)
        return rc;
    const char *text = info->str == NULL ? "" : info->str;
    *out = (struct writes){ rebalance_copies_written(text), rebalance_copies_acked(text),
                            rebalance_replicas_in_step(text) };
    return out->live >= 0
               ? PR_OK
               : pr_fail(err, PR_EUNAVAIL, "node %s:%d is no primary any more", p->host, p->port);
}

/* The same rule as where slots are moved. Keys leave a node that has no replica gladly. */
static enum pr_code allowed(const struct repair *r, const struct repair_primary *p, int live,
                            struct pr_err *err)
{
    char name[80];
    snprintf(name, sizeof name, "of %.60s:%d", p->host, p->port);
    const struct rebalance_wait w =
        rebalance_wait_policy(name, live, (int)r->ctx->cfg->replicas, r->ctx->allow_no_replicas);
    return w.needs_approval ? pr_fail(err, PR_EUNAVAIL, "%s", w.why) : PR_OK;
}

/* A WAIT for one replica more than there are cannot be answered at once, so that
 * all of them are asked how far they are; by themselves they say it once a second. */
static enum pr_code nudge(struct repair *r, struct repair_primary *p, int live, struct pr_err *err)
{
    struct pr_redis *conn = NULL;
    PR_AUTO(redisReply) *acked = NULL;
    enum pr_code rc = repair_conn(r, p, &conn, err);
    return rc == PR_OK ? pr_redis_command(conn, &acked, err, "WAIT %d 1", live + 1) : rc;
}

enum pr_code repair_settle(struct repair *r, struct repair_primary *p, bool takes,
                           struct pr_err *err)
{
    const int64_t until_us = pr_mono_us() + (int64_t)SETTLE_MS * 1000;
    long long want = -1;
    for (;;) {
        struct writes w = { .live = 0 };
        enum pr_code rc = ask(r, p, &w, err);
        if (rc == PR_OK && takes)
            rc = allowed(r, p, w.live, err);
        if (rc != PR_OK)
            return rc;
        want = want < 0 ? w.written : want;
        if (w.live == 0 || w.acked >= want)
            return PR_OK;
        if (pr_mono_us() > until_us)
            return pr_fail(err, PR_EUNAVAIL, "a replica of %s:%d is %lld bytes behind", p->host,
                           p->port, want - w.acked);
        rc = nudge(r, p, w.live, err);
        if (rc == PR_OK)
            rc = duty_nap(r->ctx, 0, err);
        if (rc != PR_OK)
            return rc;
    }
}
