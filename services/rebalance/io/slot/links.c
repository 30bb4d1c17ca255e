/* Connections of a pair, and what is set up on its nodes. */
#include "io/slot/pair.h"
#include "io/users.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* --- the lease ------------------------------------------------------------------------ */

int rebalance_pair_patience_ms(const struct rebalance_slot_run *run)
{
    const int64_t ms = run->lease.ttl_ms / 8;
    return ms > 1000 || ms <= 0 ? 1000 : ms < 100 ? 100 : (int)ms;
}

int64_t rebalance_pair_lease_ms(const struct rebalance_slot_run *run)
{
    const int64_t ms = run->lease.ttl_ms - REBALANCE_LEASE_MARGIN_MS;
    return run->lease_left_ms == NULL || run->lease.ttl_ms <= 0 ? 0 : ms > 1 ? ms : 1;
}

enum pr_code rebalance_pair_may_send(struct rebalance_pair *p, int timeout_ms, struct pr_err *err)
{
    struct rebalance_slot_run *run = p->run;
    const int64_t most_ms = rebalance_pair_lease_ms(run);
    if (most_ms > 0 && timeout_ms > most_ms)
        return pr_fail(err, PR_EINVAL, "needs PRISM_REBALANCE_LEASE_TTL_MS >= %d",
                       timeout_ms + REBALANCE_LEASE_MARGIN_MS);
    for (;;) {
        if (rebalance_slot_run_order(run) != REBALANCE_ABANDON &&
            (run->lease_left_ms == NULL || run->lease_left_ms(run->lease_ctx) > timeout_ms))
            return PR_OK;
        if (!rebalance_pair_pause(p, 10000)) /* until it is renewed, or lost */
            return pr_fail(err, PR_ECANCELED, "slots from %s to %s are left as they are",
                           p->name.src, p->name.dst);
    }
}

/* --- connections ------------------------------------------------------------------------ */

static enum pr_code connect_to(struct rebalance_pair *p, struct rebalance_shard *s,
                               const struct pr_redis_auth *auth, struct pr_redis **conn,
                               struct pr_err *err)
{
    const struct rebalance_shard_member *m = rebalance_shard_primary(s);
    if (*conn != NULL && !pr_redis_broken(*conn))
        return PR_OK;
    pr_redis_close(*conn);
    *conn = NULL;
    if (m == NULL)
        return pr_fail(err, PR_EUNAVAIL, "shard %s has no primary", s->id);
    const enum pr_code rc =
        pr_redis_open(conn, m->host, m->port, auth, rebalance_pair_patience_ms(p->run), err);
    if (rc == PR_EDENIED)
        atomic_store(&p->run->users_missing, true);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "node %s", m->name);
}

enum pr_code rebalance_pair_lane(struct rebalance_pair *p, unsigned i, struct pr_redis **conn,
                                 struct pr_err *err)
{
    struct rebalance_lane *l = &p->lane[i];
    const bool fresh = l->conn == NULL || pr_redis_broken(l->conn);
    const enum pr_code rc = connect_to(p, rebalance_giver(p), &p->run->mover, &l->conn, err);
    l->waits = fresh ? false : l->waits;
    *conn = l->conn;
    return rc;
}

enum pr_code rebalance_pair_taker(struct rebalance_pair *p, struct pr_redis **conn,
                                  struct pr_err *err)
{
    const bool fresh = p->taker == NULL || pr_redis_broken(p->taker);
    const enum pr_code rc = connect_to(p, rebalance_taker(p), &p->run->mover, &p->taker, err);
    p->taker_waits = fresh ? false : p->taker_waits;
    *conn = p->taker;
    return rc;
}

enum pr_code rebalance_pair_reader(struct rebalance_pair *p, struct pr_redis **conn,
                                   struct pr_err *err)
{
    const enum pr_code rc = connect_to(p, rebalance_giver(p), &p->run->mover, &p->reader, err);
    *conn = p->reader;
    return rc;
}

enum pr_code rebalance_pair_primary(struct rebalance_pair *p, int k,
                                    struct rebalance_shard_member *out, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    pthread_mutex_lock(&p->lock);
    const struct rebalance_shard_member *m = rebalance_shard_primary(&p->shard[k]);
    if (m == NULL)
        rc = pr_fail(err, PR_EUNAVAIL, "shard %s has no primary", p->shard[k].id);
    else
        *out = *m;
    pthread_mutex_unlock(&p->lock);
    return rc;
}

size_t rebalance_pair_members(struct rebalance_pair *p, int k)
{
    pthread_mutex_lock(&p->lock);
    const size_t n = p->shard[k].members;
    pthread_mutex_unlock(&p->lock);
    return n;
}

enum pr_code rebalance_pair_service(struct rebalance_pair *p, int k, struct pr_redis **conn,
                                    struct pr_err *err)
{
    const enum pr_code rc = connect_to(p, &p->shard[k], &p->run->service, &p->service[k], err);
    *conn = p->service[k];
    return rc;
}

void rebalance_pair_unlink(struct rebalance_pair *p)
{
    for (int i = 0; i < REBALANCE_LANES; i++) {
        pr_redis_close(p->lane[i].conn);
        p->lane[i] = (struct rebalance_lane){ NULL, false };
    }
    pr_redis_close(p->taker);
    pr_redis_close(p->reader);
    p->taker = p->reader = NULL;
    p->taker_waits = false;
    for (int k = 0; k < 2; k++) {
        pr_redis_close(p->service[k]);
        p->service[k] = NULL;
        p->clock_known[k] = false;
    }
}

/* --- the carrier ---------------------------------------------------------------------- */

static atomic_uint generations; /* of all carriers of this process */

/* Its name begins as the mover's, so whoever takes the lease over deletes it with it. */
static enum pr_code name_carrier(struct rebalance_pair *p, struct pr_err *err)
{
    unsigned char raw[32];
    struct rebalance_carrier *c = &p->carrier;
    if (getrandom(raw, sizeof raw, 0) != (ssize_t)sizeof raw)
        return pr_fail(err, PR_EINTERNAL, "no random bytes for a Redis password");
    /* Never a name again that an earlier MIGRATE may still know. */
    c->generation = atomic_fetch_add(&generations, 1) + 1;
    snprintf(c->name, sizeof c->name, "%s-%zu-%u", p->run->mover.user, p->number, c->generation);
    for (size_t i = 0; i < sizeof raw; i++)
        snprintf(c->password + 2 * i, 3, "%02x", raw[i]);
    return PR_OK;
}

typedef enum pr_code member_fn(struct rebalance_pair *p, struct pr_redis *conn, struct pr_err *err);

static enum pr_code make(struct rebalance_pair *p, struct pr_redis *conn, struct pr_err *err)
{
    redisReply *got = NULL;
    const enum pr_code rc = pr_redis_command(
        conn, &got, err,
        "ACL SETUSER %s reset on >%s resetchannels ~* -@all +restore +restore-asking +asking "
        "+select +ping",
        p->carrier.name, p->carrier.password);
    if (got != NULL)
        freeReplyObject(got);
    return rc;
}

static enum pr_code unmake(struct rebalance_pair *p, struct pr_redis *conn, struct pr_err *err)
{
    redisReply *got = NULL;
    const enum pr_code rc = pr_redis_command(conn, &got, err, "ACL DELUSER %s", p->carrier.name);
    if (got != NULL)
        freeReplyObject(got);
    return rc;
}

/* Carriers that a run which was abandoned left behind. Each shard is in one pair of a
 * run at most: what is here and begins as the mover's name is nobody's any more. */
static enum pr_code sweep(struct rebalance_pair *p, struct pr_redis *conn, struct pr_err *err)
{
    const size_t len = strlen(p->run->mover.user);
    redisReply *got = NULL;
    enum pr_code rc = pr_redis_command(conn, &got, err, "ACL USERS");
    if (rc != PR_OK)
        return rc;
    PR_AUTO(redisReply) *users = got;
    for (size_t i = 0; i < users->elements && rc == PR_OK; i++) {
        const char *name = users->element[i]->str;
        redisReply *gone = NULL;
        if (name == NULL || strncmp(name, p->run->mover.user, len) != 0 || name[len] != '-')
            continue;
        rc = pr_redis_command(conn, &gone, err, "ACL DELUSER %s", name);
        if (gone != NULL)
            freeReplyObject(gone);
    }
    return rc;
}

enum whom { PRIMARIES, ALL }; /* of the members, that must answer */

/* On the members that answer. */
static enum pr_code everywhere(struct rebalance_pair *p, member_fn *fn, enum whom must,
                               struct pr_err *err)
{
    enum pr_code worst = PR_OK;
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < rebalance_pair_members(p, k); i++) {
            const struct rebalance_shard_member *m = &p->shard[k].member[i];
            struct pr_redis *conn = NULL;
            if (!m->there)
                continue;
            struct pr_err why = { 0 };
            enum pr_code rc = pr_redis_open(&conn, m->host, m->port, &p->run->service,
                                            rebalance_pair_patience_ms(p->run), &why);
            if (rc == PR_OK)
                rc = rebalance_pair_may_send(p, rebalance_pair_patience_ms(p->run), &why);
            if (rc == PR_OK)
                rc = fn(p, conn, &why);
            pr_redis_close(conn);
            if (rc == PR_ECANCELED)
                return pr_fail(err, rc, "%s", why.text);
            if (rc != PR_OK && (must == ALL || (int)i == p->shard[k].primary))
                worst = pr_fail(err, rc, "node %s: %.200s", m->name, why.text);
        }
    return worst;
}

/* Deleting a user ends its connections, and with them whatever a MIGRATE of an
 * earlier generation still had to send. */
enum pr_code rebalance_pair_carrier(struct rebalance_pair *p, bool next, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    if (p->carrier.generation == 0)
        rc = everywhere(p, sweep, PRIMARIES, err);
    else if (next)
        rc = everywhere(p, unmake, PRIMARIES, err);
    if (rc == PR_OK && (next || p->carrier.generation == 0))
        rc = name_carrier(p, err);
    return rc == PR_OK ? everywhere(p, make, PRIMARIES, err) : rc;
}

void rebalance_pair_carrier_remove(struct rebalance_pair *p)
{
    struct pr_err err = { 0 };
    /* Once more for a node that was slow; what is left then goes with the next run's sweep. */
    if (p->carrier.generation > 0 && everywhere(p, unmake, ALL, &err) != PR_OK &&
        everywhere(p, unmake, ALL, &err) != PR_OK)
        pr_warn(PR_EV("slot.carrier_left"), PR_S("user", p->carrier.name), PR_E(&err));
}

/* --- compression ---------------------------------------------------------------------- */

static void set_compression(struct rebalance_pair *p, const struct rebalance_shard_member *m,
                            bool on)
{
    struct pr_redis *conn = NULL;
    redisReply *got = NULL;
    struct pr_err err = { 0 };
    enum pr_code rc = pr_redis_open(&conn, m->host, m->port, &p->run->mover,
                                    rebalance_pair_patience_ms(p->run), &err);
    if (rc == PR_OK)
        rc = rebalance_pair_may_send(p, rebalance_pair_patience_ms(p->run), &err);
    if (rc == PR_OK)
        rc = pr_redis_command(conn, &got, &err, "CONFIG SET rdbcompression %s", on ? "yes" : "no");
    if (rc != PR_OK) /* it costs speed, nothing else */
        pr_warn(PR_EV("slot.compression"), PR_S("node", m->name), PR_E(&err));
    if (got != NULL)
        freeReplyObject(got);
    pr_redis_close(conn);
}

/* What it was before is not asked: a crash leaves it off, and that would then be
 * taken for what it should be. The settings say what it should be. */
void rebalance_pair_compression(struct rebalance_pair *p, int k, bool moving)
{
    struct rebalance_shard *s = &p->shard[k];
    const struct rebalance_shard_member *primary = rebalance_shard_primary(s);
    if (moving && (p->no_compression[k] || primary == NULL))
        return;
    if (moving)
        set_compression(p, primary, false);
    for (size_t i = 0; !moving && i < rebalance_pair_members(p, k); i++) /* former primaries too */
        if (s->member[i].there)
            set_compression(p, &s->member[i], p->run->cfg->rdb_compression);
    p->no_compression[k] = moving;
    p->touched[k] = p->touched[k] || moving;
}

/* --- replicas --------------------------------------------------------------------------- */

enum pr_code rebalance_pair_replicas(struct rebalance_pair *p, struct pr_err *err)
{
    for (int k = 0; k < 2; k++) {
        pthread_mutex_lock(&p->lock); /* the probes count them too */
        const struct rebalance_shard_member *m = rebalance_shard_primary(&p->shard[k]);
        const int in_step = m == NULL ? 0 : m->replicas, members = (int)p->shard[k].members;
        pthread_mutex_unlock(&p->lock);
        const struct rebalance_wait w =
            rebalance_wait_policy(p->shard[k].id, in_step, members - 1, p->run->allow_no_replicas);
        if (w.needs_approval)
            return pr_fail(err, members > 1 ? PR_EUNAVAIL : PR_EINVAL, "%s", w.why);
        p->live[k] = w.replicas;
    }
    return PR_OK;
}
