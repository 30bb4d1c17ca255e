/* A client: the real core doing one operation after the other, acknowledging a
 * change only after WAIT on the connection that executed it. */
#include "switches.h"
#include "world.h"

#include <string.h>

enum { PATIENCE = 6 };

bool client_idle(const struct client_actor *a)
{
    return !a->busy && a->ops_left == 0;
}

static enum client_op next_op(struct world *w)
{
    enum client_op may[6];
    uint32_t n = 0;

    may[n++] = CLIENT_READ;
    if (w->n_records < MAX_RECORDS) {
        if (w->cfg.writes)
            may[n++] = CLIENT_WRITE;
        if (w->cfg.creates)
            may[n++] = CLIENT_CREATE;
        if (w->cfg.deletes)
            may[n++] = CLIENT_DELETE;
    }
    /* undisturbed: the last kind configured, then the others in turn */
    return may[(n - 1 + choose(w, n)) % n];
}

static void begin_op(struct world *w, struct client_actor *a)
{
    enum client_op op = next_op(w);
    uint32_t at = choose(w, PARTS + 1); /* 0: what it found last time */
    uint32_t cached = at == 0 ? a->cache : at - 1;
    uint32_t create_at = op == CLIENT_CREATE ? (w->cfg.home + choose(w, PARTS)) % PARTS : 0;

    a->ops_left--;
    a->busy = true;
    a->waiting = false;
    a->op = op;
    a->inv = w->now;
    a->strong = op != CLIENT_READ || choose(w, 2) == 1;
    if (op != CLIENT_READ) {
        a->record = w->n_records++;
        w->record[a->record] =
            (struct record){ .inv = w->now, .op = op, .field = a->record, .status = PENDING };
    }
    client_init(&a->c, op, w->cfg.home, cached, create_at, w->quiet ? 1000 : PATIENCE);
}

static void finish_record(struct world *w, struct client_actor *a, enum record_status status)
{
    if (a->op == CLIENT_READ)
        return;
    w->record[a->record].status = (uint8_t)status;
    w->record[a->record].ack = w->now;
}

static void end_op(struct world *w, struct client_actor *a)
{
    enum client_outcome outcome = client_outcome(&a->c);

    a->busy = false;
    a->cache = outcome == CLIENT_DONE ? client_found_at(&a->c) : w->cfg.home;
    if (outcome == CLIENT_DONE) {
        finish_record(w, a, ACKED);
        w->saw[SAW_ACKED] += a->op != CLIENT_READ;
        w->saw[SAW_DELETED] += a->op == CLIENT_DELETE;
        if (a->op == CLIENT_READ)
            check_read(w, a->inv, &a->seen);
        if (a->op == CLIENT_READ && a->strong)
            check_known(w, &a->seen);
    } else if (outcome == CLIENT_UNKNOWN) {
        finish_record(w, a, UNKNOWN);
        w->saw[SAW_UNKNOWN]++;
    } else {
        finish_record(w, a, FAILED);
        if (outcome == CLIENT_NOT_FOUND)
            check_read(w, a->inv, NULL);
        else if (w->quiet)
            violation(w, "a client gave up though nothing moves any more");
    }
}

static struct model_call call_of(const struct world *w, const struct client_actor *a,
                                 const struct client_cmd *cmd)
{
    struct model_call call = { .fn = FN_GET, .p = a->c.create_at };

    if (cmd->kind == CLIENT_CLAIM) {
        call.fn = FN_CLAIM;
        call.flag = a->c.create_at == w->cfg.home;
        return call;
    }
    if (a->op == CLIENT_WRITE || a->op == CLIENT_CREATE) {
        call.fn = a->op == CLIENT_WRITE ? FN_WRITE : FN_CREATE;
        call.flag = cmd->existing_only;
        call.n_set = 1;
        call.set[0].field = (uint8_t)w->record[a->record].field;
        call.set[0].value = 1;
    } else if (a->op == CLIENT_DELETE) {
        call.fn = FN_DELETE;
    }
    return call;
}

static void answer(struct client_actor *a, const struct model_reply *r)
{
    switch (r->word) {
    case WORD_STUB:
        client_reply(&a->c, CLIENT_R_STUB, r->p, r->e);
        break;
    case WORD_ABSENT:
        client_reply(&a->c, CLIENT_R_ABSENT, 0, 0);
        break;
    case WORD_DELETED:
        client_reply(&a->c, CLIENT_R_DELETED, 0, 0);
        break;
    default:
        client_reply(&a->c, CLIENT_R_OK, 0, 0);
        break;
    }
}

static void send(struct world *w, struct client_actor *a, const struct client_cmd *cmd)
{
    uint32_t part = cmd->partition;
    struct model_call call = call_of(w, a, cmd);
    struct model_reply r;

    if (faulty(w)) {
        uint32_t fate = choose(w, w->late.used ? 2 : 3); /* lost, reply lost, delayed */
        a->conn[part].up = false;
        if (fate == 1)
            server_run(w, part, &call, &r);
        if (fate == 2 && call.fn != FN_GET)
            w->late = (struct late){ .used = true, .part = part, .call = call };
        client_reply(&a->c, CLIENT_R_BROKEN, 0, 0);
        return;
    }
    a->found_claim = shard_now(&w->shard[part])->key.kind != MODEL_ABSENT;
    server_run(w, part, &call, &r);
    conn_used(w, &a->conn[part], part);
    a->seen = r.copy;
    if (cmd->kind == CLIENT_DO && a->strong && (r.word == WORD_OK || r.word == WORD_LIVE)) {
        a->waiting = true;
        a->done_at = part;
        return;
    }
    answer(a, &r);
}

static void wait_acknowledged(struct world *w, struct client_actor *a)
{
    bool ok = conn_wait(w, &a->conn[a->done_at], a->done_at);

    a->waiting = false;
    client_reply(&a->c, ok ? CLIENT_R_OK : CLIENT_R_BROKEN, 0, 0);
}

static void wait_home(struct world *w, struct client_actor *a)
{
    uint32_t home = w->cfg.home;
    bool wanted = a->found_claim ? ON(WAIT_CLAIM_FOUND) : ON(WAIT_CLAIM_MADE);

    w->saw[SAW_CLAIM_FOUND] += a->found_claim;
    bool ok = !wanted || conn_wait(w, &a->conn[home], home);

    client_reply(&a->c, ok ? CLIENT_R_OK : CLIENT_R_BROKEN, 0, 0);
}

void client_step(struct world *w, struct client_actor *a)
{
    if (!a->busy) {
        begin_op(w, a);
        return;
    }
    if (a->waiting) {
        wait_acknowledged(w, a);
        return;
    }
    struct client_cmd cmd = client_next(&a->c);
    switch (cmd.kind) {
    case CLIENT_DO:
    case CLIENT_CLAIM:
        send(w, a, &cmd);
        break;
    case CLIENT_WAIT_HOME:
        wait_home(w, a);
        break;
    case CLIENT_BACKOFF:
        w->saw[SAW_BACKOFF]++;
        client_reply(&a->c, CLIENT_R_OK, 0, 0);
        break;
    case CLIENT_END:
        end_op(w, a);
        break;
    }
}
