#include "prism/dp/client.h"

#include "rules.h"

enum step { AT, CLAIM, WAIT_HOME, BACKOFF, ENDED };

/* Stubs lead forward in epochs, so a chain this long is being rewritten under us. */
enum { MAX_HOPS = 64 };

static void end(struct client *c, enum client_outcome outcome)
{
    c->step = ENDED;
    c->outcome = (uint8_t)outcome;
}

static void go_home(struct client *c)
{
    c->at = c->home;
    c->cached = c->followed = false;
    c->stub_epoch = 0;
    c->hops = 0;
    c->step = c->op == CLIENT_CREATE ? CLAIM : AT;
}

/* The next try begins at home: on the way there the vertex may have moved on. */
static void back_off(struct client *c)
{
    if (c->backoffs == c->max_backoffs) {
        end(c, CLIENT_GAVE_UP);
        return;
    }
    c->backoffs++;
    c->step = BACKOFF;
}

static void follow(struct client *c, uint32_t partition, uint64_t epoch)
{
    c->at = partition;
    c->stub_epoch = epoch;
    c->followed = true;
    c->cached = false;
}

void client_init(struct client *c, enum client_op op, uint32_t home, uint32_t cached,
                 uint32_t create_at, uint32_t max_backoffs)
{
    *c = (struct client){
        .home = home, .create_at = create_at, .max_backoffs = max_backoffs, .op = (uint8_t)op
    };
    go_home(c);
    if (cached != home) {
        c->at = cached;
        c->cached = true;
        c->step = AT;
    }
}

struct client_cmd client_next(const struct client *c)
{
    static const enum client_cmd_kind kind[] = {
        [AT] = CLIENT_DO,           [CLAIM] = CLIENT_CLAIM, [WAIT_HOME] = CLIENT_WAIT_HOME,
        [BACKOFF] = CLIENT_BACKOFF, [ENDED] = CLIENT_END,
    };
    struct client_cmd cmd = { .kind = kind[c->step], .partition = c->step == AT ? c->at : c->home };

    if (c->step == BACKOFF)
        cmd.attempt = c->backoffs;
    if (c->step == AT && c->op == CLIENT_CREATE) {
        bool claimed = c->followed && c->stub_epoch == 0;
        cmd.existing_only = !claimed && RULE(EXISTING_ONLY);
    }
    return cmd;
}

static void found_stub(struct client *c, uint32_t partition, uint64_t epoch)
{
    bool older = c->followed && epoch < c->stub_epoch; /* its promotion is still to come */

    if (older || ++c->hops > MAX_HOPS)
        back_off(c);
    else
        follow(c, partition, epoch);
}

static void found_nothing(struct client *c)
{
    if (c->cached) {
        if (RULE(CACHE_ASKS_HOME))
            go_home(c);
        else
            end(c, CLIENT_NOT_FOUND);
    } else if (c->followed && c->stub_epoch > 0) {
        if (RULE(MOVING_IS_KNOWN))
            back_off(c);
        else
            end(c, CLIENT_NOT_FOUND);
    } else if (c->op == CLIENT_CREATE) {
        back_off(c); /* home had something and lost it to a fail-over: claim again */
    } else {
        end(c, CLIENT_NOT_FOUND);
    }
}

static void after_do(struct client *c, enum client_result r, uint32_t partition, uint64_t epoch)
{
    switch (r) {
    case CLIENT_R_OK:
        end(c, CLIENT_DONE);
        break;
    case CLIENT_R_STUB:
        found_stub(c, partition, epoch);
        break;
    case CLIENT_R_ABSENT:
        found_nothing(c);
        break;
    case CLIENT_R_DELETED:
        end(c, CLIENT_NOT_FOUND);
        break;
    case CLIENT_R_FULL:
        end(c, CLIENT_FULL);
        break;
    case CLIENT_R_BROKEN:
        if (c->op == CLIENT_READ)
            back_off(c);
        else
            end(c, CLIENT_UNKNOWN);
        break;
    }
}

/* What is at home now: the vertex, a tombstone, a claim or a route. A claim, be
 * it found or made, must outlive any fail-over of home before something is
 * created where it points. A claim that broke is simply made again. */
static void after_claim(struct client *c, enum client_result r, uint32_t partition, uint64_t epoch)
{
    switch (r) {
    case CLIENT_R_OK:
        c->step = WAIT_HOME;
        break;
    case CLIENT_R_STUB:
        follow(c, partition, epoch);
        c->step = epoch == 0 ? WAIT_HOME : AT;
        break;
    case CLIENT_R_DELETED:
        c->step = AT;
        break;
    case CLIENT_R_ABSENT:
    case CLIENT_R_FULL:
    case CLIENT_R_BROKEN:
        back_off(c);
        break;
    }
}

void client_reply(struct client *c, enum client_result r, uint32_t partition, uint64_t epoch)
{
    switch ((enum step)c->step) {
    case AT:
        after_do(c, r, partition, epoch);
        break;
    case CLAIM:
        after_claim(c, r, partition, epoch);
        break;
    case WAIT_HOME:
        if (r == CLIENT_R_OK)
            c->step = AT;
        else
            back_off(c);
        break;
    case BACKOFF:
        go_home(c);
        break;
    case ENDED:
        break;
    }
}

enum client_outcome client_outcome(const struct client *c)
{
    return c->step == ENDED ? (enum client_outcome)c->outcome : CLIENT_RUNNING;
}

uint32_t client_found_at(const struct client *c)
{
    return c->at;
}
