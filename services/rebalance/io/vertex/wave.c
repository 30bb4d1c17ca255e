#include "io/vertex/wave.h"

#include "prism/slot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t NONE = UINT32_MAX; /* end of a list of vertices */

static void note(struct rebalance_wave *w, const struct rebalance_link *link, const char *why)
{
    if (!w->trouble)
        snprintf(w->why, sizeof w->why, "node %.63s: %.120s", link == NULL ? "?" : link->name, why);
    w->trouble = true;
}

static void answer(struct rebalance_mover *v, struct mover_reply r)
{
    v->fence_refused = v->sent == MOVER_FENCE && r.result == MOVER_R_REFUSED;
    if (v->fence_refused && v->refusals < UINT8_MAX)
        v->refusals++;
    mover_reply(&v->m, &r);
}

static void answer_broken(struct rebalance_wave *w, struct rebalance_mover *v,
                          const struct rebalance_link *link, const char *why)
{
    note(w, link, why);
    answer(v, (struct mover_reply){ .result = MOVER_R_BROKEN });
}

/* --- sending -------------------------------------------------------------- */

static uint32_t partition_at(const struct mover *m, enum mover_at at)
{
    return at == MOVER_AT_S ? m->s : at == MOVER_AT_D ? m->d : m->home;
}

struct command {
    const char *argv[8 + MOVER_MAX_SWEEP];
    size_t len[8 + MOVER_MAX_SWEEP];
    int argc;
};

static void add(struct command *c, const char *s, size_t n)
{
    c->argv[c->argc] = s;
    c->len[c->argc++] = n;
}

static void add_word(struct command *c, const char *s)
{
    add(c, s, strlen(s));
}

static const char *u64_text(char out[24], uint64_t v)
{
    char *p = out + 23;
    *p = '\0';
    do
        *--p = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    return p;
}

static enum pr_code send_unlink(struct pr_redis *conn, const struct rebalance_mover *v,
                                const uint64_t *epochs, size_t n)
{
    char key[MOVER_MAX_SWEEP][PR_MAX_KEY_BYTES];
    struct command c = { .argc = 0 };
    add_word(&c, "UNLINK");
    for (size_t i = 0; i < n && i < MOVER_MAX_SWEEP; i++)
        add(&c, key[i], pr_key_staging(key[i], v->m.d, v->id, v->id_len, epochs[i]));
    return pr_redis_append(conn, c.argc, c.argv, c.len, NULL);
}

static enum pr_code send_command(struct pr_redis *conn, struct rebalance_mover *v,
                                 const struct mover_cmd *cmd)
{
    char key[PR_MAX_KEY_BYTES], staging[PR_MAX_KEY_BYTES], n1[24], n2[24], n3[24];
    struct command c = { .argc = 0 };
    const uint32_t p = partition_at(&v->m, cmd->at);
    const size_t key_len = pr_key_vertex(key, p, v->id, v->id_len);
    const size_t staging_len = pr_key_staging(staging, v->m.d, v->id, v->id_len, cmd->epoch);

    switch (cmd->kind) {
    case MOVER_TAKE:
        add_word(&c, "FCALL");
        add_word(&c, "prism_take");
        add_word(&c, "1");
        add(&c, key, key_len);
        break;
    case MOVER_RESTORE:
        add_word(&c, "RESTORE");
        add(&c, staging, staging_len);
        add_word(&c, "0");
        add(&c, v->taken->element[2]->str, v->taken->element[2]->len);
        return pr_redis_append(conn, c.argc, c.argv, c.len, NULL);
    case MOVER_FENCE:
        add_word(&c, "FCALL");
        add_word(&c, "prism_fence");
        add_word(&c, "1");
        add(&c, key, key_len);
        add_word(&c, u64_text(n1, cmd->version));
        add_word(&c, u64_text(n2, v->m.d));
        break;
    case MOVER_PROMOTE:
        add_word(&c, "FCALL");
        add_word(&c, "prism_promote");
        add_word(&c, "2");
        add(&c, key, key_len);
        add(&c, staging, staging_len);
        break;
    case MOVER_ROUTE:
        add_word(&c, "FCALL");
        add_word(&c, "prism_route");
        add_word(&c, "1");
        add(&c, key, key_len);
        add_word(&c, u64_text(n2, v->m.d));
        break;
    case MOVER_DEL_STAGING:
        return send_unlink(conn, v, cmd->sweep, cmd->n_sweep);
    case MOVER_WAIT:
    case MOVER_NEED_EPOCH:
    case MOVER_END:
        return PR_EINTERNAL;
    }
    add_word(&c, u64_text(n3, cmd->epoch));
    return pr_redis_append(conn, c.argc, c.argv, c.len, NULL);
}

static struct rebalance_link *link_for(struct rebalance_wave *w, uint32_t partition)
{
    const int16_t i = w->links->of_slot[w->run->slot_of[partition]];
    return i < 0 ? NULL : &w->links->link[i];
}

static void enlist(struct rebalance_wave *w, struct rebalance_link *link, uint32_t i)
{
    struct rebalance_mover *v = &w->v[i];
    v->next = NONE;
    v->number = link->number;
    v->link = (int16_t)(link - w->links->link);
    if (link->head == NONE)
        link->head = i;
    else
        w->v[link->tail].next = i;
    link->tail = i;
}

static bool link_up(struct rebalance_wave *w, struct rebalance_link *link)
{
    struct pr_err err = { 0 };
    if (link->down)
        return false;
    const enum pr_code rc = rebalance_link_connect(w->links, link, &err);
    if (rc == PR_OK)
        return true;
    w->denied = w->denied || rc == PR_EDENIED;
    note(w, link, err.text);
    link->down = true;
    return false;
}

/* A WAIT is about the last command: only the connection that executed it knows. */
static void queue_wait(struct rebalance_wave *w, uint32_t i, struct rebalance_link *link)
{
    struct rebalance_mover *v = &w->v[i];
    if (link == NULL || link != &w->links->link[v->link] || link->conn == NULL ||
        link->number != v->number) {
        answer_broken(w, v, link, "the connection that executed the command is gone");
        return;
    }
    v->next = link->waiting;
    link->waiting = i;
}

static void queue_command(struct rebalance_wave *w, uint32_t i, const struct mover_cmd *cmd)
{
    struct rebalance_mover *v = &w->v[i];
    struct rebalance_link *link = link_for(w, partition_at(&v->m, cmd->at));
    v->sent = (uint8_t)cmd->kind;
    if (cmd->kind == MOVER_WAIT) {
        queue_wait(w, i, link);
        return;
    }
    if (link == NULL)
        answer_broken(w, v, NULL, "a slot has no owner");
    else if (!link_up(w, link))
        answer_broken(w, v, link, "is down");
    else if (send_command(link->conn, v, cmd) != PR_OK) {
        link->down = true;
        answer_broken(w, v, link, "is down");
    } else
        enlist(w, link, i);

    if (cmd->kind == MOVER_RESTORE) { /* sent once, never again */
        w->held_bytes -= v->bytes;
        freeReplyObject(v->taken);
        v->taken = NULL;
    }
}

/* --- replies -------------------------------------------------------------- */

static bool says(const redisReply *r, const char *word)
{
    return r->type == REDIS_REPLY_ARRAY && r->elements > 0 && r->element[0]->str != NULL &&
           strcmp(r->element[0]->str, word) == 0;
}

static uint64_t number_of(const redisReply *r)
{
    if (r->type == REDIS_REPLY_INTEGER)
        return (uint64_t)r->integer;
    return r->str == NULL ? 0 : strtoull(r->str, NULL, 10);
}

/* True when the reply is kept: it holds the vertex. */
static bool took(struct rebalance_wave *w, struct rebalance_mover *v, redisReply *r,
                 struct mover_reply *out)
{
    if (says(r, "LIVE") && r->elements == 3 && r->element[2]->type == REDIS_REPLY_STRING) {
        *out = (struct mover_reply){ .result = MOVER_R_LIVE, .version = number_of(r->element[1]) };
        if (v->taken != NULL) {
            w->held_bytes -= v->bytes;
            freeReplyObject(v->taken);
            v->taken = NULL;
        }
        if (v->m.canceling) /* it stays where it is: nothing to restore */
            return false;
        v->taken = r;
        v->bytes = r->element[2]->len;
        w->held_bytes += v->bytes;
        w->mean_bytes = (w->mean_bytes * 63 + v->bytes) / 64;
        return true;
    }
    if (says(r, "STUB") && r->elements == 2 && r->element[1]->str != NULL) {
        char *end = NULL;
        const unsigned long p = strtoul(r->element[1]->str, &end, 10);
        *out = (struct mover_reply){ .result = MOVER_R_STUB,
                                     .partition = (uint32_t)p,
                                     .epoch = *end == ':' ? strtoull(end + 1, NULL, 10) : 0 };
    } else if (says(r, "ABSENT"))
        out->result = MOVER_R_ABSENT;
    else if (says(r, "REFUSED"))
        out->result = MOVER_R_REFUSED;
    return false;
}

static enum mover_result plain_result(const redisReply *r, enum mover_kind sent)
{
    switch (sent) {
    case MOVER_RESTORE:
        return r->type == REDIS_REPLY_STATUS ? MOVER_R_OK : MOVER_R_BROKEN;
    case MOVER_FENCE:
        return says(r, "OK") ? MOVER_R_OK : says(r, "REFUSED") ? MOVER_R_REFUSED : MOVER_R_BROKEN;
    case MOVER_PROMOTE:
        if (says(r, "ALARM"))
            return MOVER_R_ALARM;
        return says(r, "OK") || says(r, "DONE") ? MOVER_R_OK : MOVER_R_BROKEN;
    case MOVER_ROUTE:
        return says(r, "OK") || says(r, "LIVE") || says(r, "NEWER") ? MOVER_R_OK : MOVER_R_BROKEN;
    case MOVER_DEL_STAGING:
        return r->type == REDIS_REPLY_INTEGER ? MOVER_R_OK : MOVER_R_BROKEN;
    case MOVER_TAKE:
    case MOVER_WAIT:
    case MOVER_NEED_EPOCH:
    case MOVER_END:
        break;
    }
    return MOVER_R_BROKEN;
}

static void receive(struct rebalance_wave *w, struct rebalance_link *link,
                    struct rebalance_mover *v, redisReply *r)
{
    struct mover_reply out = { .result = MOVER_R_BROKEN };
    bool kept = false;
    if (r->type == REDIS_REPLY_ERROR) {
        w->denied = w->denied || pr_redis_reply_code(r, NULL) == PR_EDENIED;
        note(w, link, r->str);
    } else if (v->sent == MOVER_TAKE)
        kept = took(w, v, r, &out);
    else
        out.result = plain_result(r, (enum mover_kind)v->sent);
    if (out.result == MOVER_R_BROKEN)
        note(w, link, "a reply that was not expected");
    if (!kept)
        freeReplyObject(r);
    answer(v, out);
}

static void link_failed(struct rebalance_wave *w, struct rebalance_link *link,
                        const struct pr_err *err)
{
    note(w, link, err->text);
    rebalance_link_break(link);
    link->down = true;
}

static void receive_commands(struct rebalance_wave *w, struct rebalance_link *link)
{
    for (uint32_t i = link->head; i != NONE; i = w->v[i].next) {
        struct rebalance_mover *v = &w->v[i];
        struct pr_err err = { 0 };
        redisReply *r = NULL;
        if (link->down || link->conn == NULL)
            answer_broken(w, v, link, "is down");
        else if (pr_redis_reply(link->conn, &r, &err) != PR_OK) {
            link_failed(w, link, &err);
            answer_broken(w, v, link, "is down");
        } else
            receive(w, link, v, r);
    }
}

/* One WAIT speaks for every vertex whose last command this connection executed. */
static bool receive_wait(struct rebalance_wave *w, struct rebalance_link *link)
{
    struct pr_err err = { 0 };
    redisReply *got = NULL;
    if (link->down || link->conn == NULL)
        return false;
    if (pr_redis_reply(link->conn, &got, &err) != PR_OK) {
        link_failed(w, link, &err);
        return false;
    }
    PR_AUTO(redisReply) *r = got;
    if (r->type != REDIS_REPLY_INTEGER) {
        note(w, link, r->str == NULL ? "WAIT answered nonsense" : r->str);
        return false;
    }
    if (r->integer < link->replicas) {
        char why[80];
        snprintf(why, sizeof why, "%lld of %d replicas acknowledged", r->integer, link->replicas);
        note(w, link, why);
        return false;
    }
    return true;
}

static void finish_link(struct rebalance_wave *w, struct rebalance_link *link)
{
    receive_commands(w, link);
    if (link->waiting != NONE) {
        const enum mover_result result = receive_wait(w, link) ? MOVER_R_OK : MOVER_R_BROKEN;
        for (uint32_t i = link->waiting; i != NONE; i = w->v[i].next)
            answer(&w->v[i], (struct mover_reply){ .result = result });
    }
    if (link->down) /* replies may be left unread */
        rebalance_link_break(link);
}

/* --- the wave --------------------------------------------------------------- */

static void clear_links(struct rebalance_wave *w)
{
    for (size_t k = 0; k < w->links->n; k++) {
        struct rebalance_link *link = &w->links->link[k];
        link->head = link->tail = link->waiting = NONE;
        link->down = false;
    }
}

static void send_waits(struct rebalance_wave *w)
{
    char replicas[24], wait_ms[24];
    for (size_t k = 0; k < w->links->n; k++) {
        struct rebalance_link *link = &w->links->link[k];
        if (link->waiting != NONE && link->conn != NULL) {
            const char *argv[] = { "WAIT", u64_text(replicas, (uint64_t)link->replicas),
                                   u64_text(wait_ms, (uint64_t)w->run->cfg->wait_ms) };
            if (pr_redis_append(link->conn, 3, argv, NULL, NULL) != PR_OK)
                link->down = true;
        }
        if (link->conn != NULL && !link->down && (link->head != NONE || link->waiting != NONE) &&
            pr_redis_flush(link->conn, NULL) != PR_OK)
            link->down = true; /* the replies will say so */
    }
}

/* How many vertices may be taken now: their dumps stay in memory until restored. */
static uint64_t take_room(const struct rebalance_wave *w)
{
    const uint64_t cap = (uint64_t)w->run->cfg->batch_bytes;
    const uint64_t mean = w->mean_bytes < 1024 ? 1024 : w->mean_bytes;
    if (w->held_bytes >= cap)
        return 0;
    return (cap - w->held_bytes) / mean + 1;
}

void rebalance_wave(struct rebalance_wave *w)
{
    uint64_t room = take_room(w);
    clear_links(w);
    for (uint32_t i = 0; i < w->n; i++) {
        struct rebalance_mover *v = &w->v[i];
        if (v->over)
            continue;
        const struct mover_cmd cmd = mover_next(&v->m);
        if (cmd.kind == MOVER_NEED_EPOCH || cmd.kind == MOVER_END)
            continue;
        if (cmd.kind == MOVER_TAKE && room-- == 0) {
            room = 0;
            continue;
        }
        queue_command(w, i, &cmd);
    }
    send_waits(w);
    for (size_t k = 0; k < w->links->n; k++)
        finish_link(w, &w->links->link[k]);
}

static bool sweep_link(struct rebalance_wave *w, struct rebalance_link *link)
{
    bool ok = true;
    for (uint32_t i = link->head; i != NONE; i = w->v[i].next) {
        struct pr_err err = { 0 };
        redisReply *r = NULL;
        if (!ok || link->down || link->conn == NULL)
            return false;
        if (pr_redis_reply(link->conn, &r, &err) != PR_OK) {
            link_failed(w, link, &err);
            return false;
        }
        ok = r->type == REDIS_REPLY_INTEGER;
        if (!ok)
            note(w, link, r->type == REDIS_REPLY_ERROR ? r->str : "a reply that was not expected");
        freeReplyObject(r);
    }
    return ok;
}

static bool sweep_some(struct rebalance_wave *w, bool (*want)(const struct rebalance_mover *),
                       const uint64_t *epochs, size_t n)
{
    bool ok = true;
    clear_links(w);
    for (uint32_t i = 0; i < w->n && ok; i++) {
        if (!want(&w->v[i]))
            continue;
        struct rebalance_link *link = link_for(w, w->v[i].m.d);
        ok = link != NULL && link_up(w, link) &&
             send_unlink(link->conn, &w->v[i], epochs, n) == PR_OK;
        if (ok)
            enlist(w, link, i);
    }
    for (size_t k = 0; k < w->links->n; k++) {
        struct rebalance_link *link = &w->links->link[k];
        if (link->head == NONE)
            continue;
        const bool swept = sweep_link(w, link);
        if (!swept) /* replies may be left unread */
            rebalance_link_break(link);
        ok = ok && swept;
    }
    w->trouble = w->trouble || !ok;
    return ok;
}

bool rebalance_wave_sweep(struct rebalance_wave *w, bool (*want)(const struct rebalance_mover *),
                          const uint64_t *epochs, size_t n_epochs)
{
    for (size_t at = 0; at < n_epochs; at += MOVER_MAX_SWEEP) {
        const size_t n = n_epochs - at > MOVER_MAX_SWEEP ? MOVER_MAX_SWEEP : n_epochs - at;
        if (!sweep_some(w, want, epochs + at, n))
            return false;
    }
    return true;
}
