#include "io/vertex/batch_rows.h"

#include "prism/io/log.h"
#include "prism/io/outbox.h"
#include "prism/routes.h"
#include "prism/v1/rebalance.pb-c.h"

#include <stdlib.h>
#include <string.h>

struct change {
    const struct rebalance_run *run;
    struct rebalance_batch *b;
    enum rebalance_state state;
    const struct pr_buf *routes;
    uint64_t epoch; /* out */
};

/* Epochs are kept to sweep what was staged under them. A batch that was held up
 * for hours forgets the oldest, and says so: stale staging keys cost memory, but
 * a batch that cannot go on would leave fenced vertices unreachable. */
void rebalance_batch_keep_epoch(struct rebalance_batch *b, uint64_t epoch)
{
    enum { FORGOTTEN = REBALANCE_MAX_EPOCHS / 2 };
    if (b->epochs == REBALANCE_MAX_EPOCHS) {
        pr_warn(PR_EV("batch.epochs_forgotten"), PR_I("plan", b->plan_id), PR_I("batch", b->number),
                PR_I("from", b->epoch[0]), PR_I("to", b->epoch[FORGOTTEN - 1]));
        b->epochs -= FORGOTTEN;
        memmove(b->epoch, b->epoch + FORGOTTEN, b->epochs * sizeof *b->epoch);
        b->earlier = b->earlier > FORGOTTEN ? b->earlier - FORGOTTEN : 0;
    }
    b->epoch[b->epochs++] = epoch;
}

static enum pr_code begin_row(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct change *c = ctx;
    struct rebalance_batch *b = c->b;
    PGresult *got = NULL;
    enum pr_code rc = pr_lease_check(db, &c->run->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec(
            db,
            "WITH e AS MATERIALIZED (SELECT nextval('move_epochs') AS v) "
            "INSERT INTO moves AS m (plan_id, batch, src_node, dst_node, state, attempt, "
            "move_epoch, epochs, lease_epoch, vertices, ids) "
            "SELECT $1, $2, $3, $4, 'copying', 1, e.v, ARRAY[e.v], $5, $6, $7 FROM e "
            "ON CONFLICT (plan_id, batch) DO UPDATE SET attempt = m.attempt + 1, "
            "move_epoch = excluded.move_epoch, epochs = m.epochs || excluded.epochs, "
            "lease_epoch = excluded.lease_epoch, updated_at = now() RETURNING move_epoch",
            PR_ARGS(pr_i64(b->plan_id), pr_i64(b->number), pr_text(b->src), pr_text(b->dst),
                    pr_i64((int64_t)c->run->lease.epoch), pr_i64((int64_t)b->vertices),
                    pr_bytes(b->ids, b->ids_bytes)),
            &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    c->epoch = (uint64_t)pr_cell_i64(res, 0, 0);
    return PR_OK;
}

enum pr_code rebalance_batch_begin(struct pr_db *db, const struct rebalance_run *run,
                                   struct rebalance_batch *b, struct pr_err *err)
{
    struct change c = { .run = run, .b = b };
    enum pr_code rc = pr_db_tx(db, begin_row, &c, err);
    if (rc == PR_OK && b->state < REBALANCE_COPYING)
        b->state = REBALANCE_COPYING;
    if (rc == PR_OK)
        rebalance_batch_keep_epoch(b, c.epoch);
    return rc;
}

static enum pr_code add_epoch(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct change *c = ctx;
    PGresult *got = NULL;
    enum pr_code rc = pr_lease_check(db, &c->run->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec(
            db,
            "WITH e AS MATERIALIZED (SELECT nextval('move_epochs') AS v) "
            "UPDATE moves SET move_epoch = e.v, epochs = epochs || e.v, updated_at = now() "
            "FROM e WHERE plan_id = $1 AND batch = $2 RETURNING move_epoch",
            PR_ARGS(pr_i64(c->b->plan_id), pr_i64(c->b->number)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) != 1)
        return pr_fail(err, PR_EDATA, "moves: no row of plan %lld, batch %lld",
                       (long long)c->b->plan_id, (long long)c->b->number);
    c->epoch = (uint64_t)pr_cell_i64(res, 0, 0);
    return PR_OK;
}

enum pr_code rebalance_batch_epoch(struct pr_db *db, const struct rebalance_run *run,
                                   struct rebalance_batch *b, struct pr_err *err)
{
    struct change c = { .run = run, .b = b };
    enum pr_code rc = pr_db_tx(db, add_epoch, &c, err);
    if (rc == PR_OK)
        rebalance_batch_keep_epoch(b, c.epoch);
    return rc;
}

static enum pr_code set_state(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct change *c = ctx;
    enum pr_code rc = pr_lease_check(db, &c->run->lease, err);
    if (rc != PR_OK)
        return rc;
    return pr_db_exec(db,
                      "UPDATE moves SET state = $3, updated_at = now() "
                      "WHERE plan_id = $1 AND batch = $2",
                      PR_ARGS(pr_i64(c->b->plan_id), pr_i64(c->b->number),
                              pr_text(rebalance_state_name(c->state))),
                      NULL, err);
}

enum pr_code rebalance_batch_state(struct pr_db *db, const struct rebalance_run *run,
                                   struct rebalance_batch *b, enum rebalance_state state,
                                   struct pr_err *err)
{
    struct change c = { .run = run, .b = b, .state = state };
    enum pr_code rc = pr_db_tx(db, set_state, &c, err);
    if (rc == PR_OK)
        b->state = state;
    return rc;
}

static enum pr_code tell_routes(struct pr_db *db, const struct rebalance_batch *b,
                                const struct pr_buf *routes, struct pr_err *err)
{
    PGresult *got = NULL;
    const size_t entries = pr_routes_count(routes->len);
    enum pr_code rc =
        pr_db_exec(db,
                   "INSERT INTO route_deltas (plan_id, batch, entries, blob) "
                   "VALUES ($1, $2, $3, $4) RETURNING id",
                   PR_ARGS(pr_i64(b->plan_id), pr_i64(b->number), pr_i64((int64_t)entries),
                           pr_bytes(routes->data, routes->len)),
                   &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    Prism__V1__RoutesChangedEvent event = PRISM__V1__ROUTES_CHANGED_EVENT__INIT;
    event.delta_id = (uint64_t)pr_cell_i64(res, 0, 0);
    event.plan_id = (uint64_t)b->plan_id;
    event.entries = (uint32_t)entries;
    uint8_t packed[64]; /* three varints with their tags: 27 bytes at most */
    const size_t n = prism__v1__routes_changed_event__pack(&event, packed);
    return pr_outbox_add(db, "prism.evt.rebalance.routes", packed, n, err);
}

static enum pr_code end_row(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct change *c = ctx;
    const struct rebalance_batch *b = c->b;
    PGresult *got = NULL;
    enum pr_code rc = pr_lease_check(db, &c->run->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "UPDATE moves SET state = $3, moved = $4, bytes = $5, error = $6, "
                        "updated_at = now() WHERE plan_id = $1 AND batch = $2 "
                        "AND state NOT IN ('done', 'failed', 'rolled_back') RETURNING 1",
                        PR_ARGS(pr_i64(b->plan_id), pr_i64(b->number),
                                pr_text(rebalance_state_name(c->state)), pr_i64((int64_t)b->moved),
                                pr_i64((int64_t)b->bytes),
                                pr_text(b->error[0] == '\0' ? NULL : b->error)),
                        &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 0 || c->routes->len == 0)
        return PR_OK; /* ended already: an earlier commit whose answer was lost */
    return tell_routes(db, b, c->routes, err);
}

enum pr_code rebalance_batch_finish(struct pr_db *db, const struct rebalance_run *run,
                                    struct rebalance_batch *b, enum rebalance_state state,
                                    const struct pr_buf *routes, struct pr_err *err)
{
    struct change c = { .run = run, .b = b, .state = state, .routes = routes };
    return pr_db_tx(db, end_row, &c, err);
}

static enum pr_code check_only(struct pr_db *db, void *ctx, struct pr_err *err)
{
    return pr_lease_check(db, ctx, err);
}

enum pr_code rebalance_lease_alive(struct pr_db *db, const struct pr_lease *lease,
                                   struct pr_err *err)
{
    struct pr_lease copy = *lease;
    return pr_db_tx(db, check_only, &copy, err);
}
