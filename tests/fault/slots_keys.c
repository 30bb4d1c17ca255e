#include "slots_keys.h"

#include "t.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slots_key slots_key[SLOTS_KEYS];
uint16_t slots_hot[SLOTS_HOT];

static const struct pr_run_options RUN = { .wait_replicas = 2,
                                           .wait_ms = 5000,
                                           .deadline_ms = 30000 };
static const char *const FIELD[SLOTS_FIELDS] = { "f0", "f1", "f2", "f3" };
static struct slots_batch batch;

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* --- loading ---------------------------------------------------------------------- */

static void run_batch(struct pr_cluster *c)
{
    struct pr_err err = { 0 };
    assert_ok(pr_cluster_run(c, batch.cmd, batch.n, &RUN, &err), &err);
    for (size_t i = 0; i < batch.n; i++)
        if (batch.cmd[i].rc != PR_OK || batch.cmd[i].reply->type == REDIS_REPLY_ERROR)
            fail_msg("%s %s: %s", batch.argv[i][0], batch.argv[i][1],
                     batch.cmd[i].rc != PR_OK ? err.text : batch.cmd[i].reply->str);
}

static void add(struct pr_cluster *c, uint16_t slot, const char *const *argv)
{
    slots_batch_add(&batch, slot, true, argv);
    if (batch.n == SLOTS_BATCH) {
        run_batch(c);
        slots_batch_done(&batch);
    }
}

/* Ascending slots that a partition has, evenly over the thirds of all slots;
 * partition[i] is that of slots_hot[i]. */
static void choose_hot(uint32_t partition[SLOTS_HOT])
{
    static int32_t of_slot[PR_SLOTS];
    for (int s = 0; s < PR_SLOTS; s++)
        of_slot[s] = -1;
    for (uint32_t p = 0; p < SLOTS_PARTITIONS; p++)
        of_slot[pr_partition_slot(p)] = (int32_t)p;
    size_t n = 0;
    for (int third = 0; third < 3; third++) {
        size_t want = n + SLOTS_HOT / 3;
        for (int s = third * PR_SLOTS / 3 + 8; n < want; s++)
            if (of_slot[s] >= 0) {
                slots_hot[n] = (uint16_t)s;
                partition[n++] = (uint32_t)of_slot[s];
            }
    }
}

static void name_keys(const uint32_t partition[SLOTS_HOT])
{
    static const char LETTER[SLOTS_TYPES] = { 's', 'h', 'u', 'v' };
    memset(slots_key, 0, sizeof slots_key);
    for (int i = 0; i < SLOTS_KEYS; i++) {
        struct slots_key *k = &slots_key[i];
        const uint32_t p = partition[i / SLOTS_PER_HOT];
        char id[32];
        k->type = (enum slots_type)(i % SLOTS_TYPES);
        k->slot = slots_hot[i / SLOTS_PER_HOT];
        snprintf(id, sizeof id, "k%d", i);
        if (k->type == SLOTS_VERTEX)
            (void)pr_key_vertex(k->name, p, id, strlen(id));
        else
            snprintf(k->name, sizeof k->name, "%c:{p%u}:%s", LETTER[k->type], p, id);
        assert_int_equal(pr_slot_of_key(k->name, strlen(k->name)), k->slot);
    }
}

static void load_key(struct pr_cluster *c, const struct slots_key *k)
{
    if (k->type == SLOTS_VERTEX)
        add(c, k->slot, WORDS("FCALL", "prism_load", "1", k->name, "p:n", "0"));
    else if (k->type == SLOTS_STRING)
        add(c, k->slot, WORDS("SET", k->name, "n0"));
    else if (k->type == SLOTS_SET)
        add(c, k->slot, WORDS("SADD", k->name, "m0"));
    else
        for (int f = 0; f < SLOTS_FIELDS; f++)
            add(c, k->slot, WORDS("HSET", k->name, FIELD[f], "0"));
}

static void load_ballast(struct pr_cluster *c, const uint32_t partition[SLOTS_HOT])
{
    char key[64], value[200];
    for (int i = 0; i < SLOTS_HOT * SLOTS_BALLAST; i++) {
        snprintf(key, sizeof key, "b:{p%u}:%d", partition[i / SLOTS_BALLAST], i);
        snprintf(value, sizeof value, "%-150d", i);
        add(c, slots_hot[i / SLOTS_BALLAST], WORDS("SET", key, value));
    }
}

/* Two keys in every slot, so that a plan that moves the hot slots is cheaper than
 * one that exchanges the names of the shards. */
static void load_rest(struct pr_cluster *c)
{
    static bool seen[PR_SLOTS];
    char key[64], value[300];
    snprintf(value, sizeof value, "%-250s", "rest");
    memset(seen, 0, sizeof seen);
    for (int n = 0, left = PR_SLOTS; left > 0; n++) {
        snprintf(key, sizeof key, "r:{t%d}:0", n);
        const uint16_t slot = pr_slot_of_key(key, strlen(key));
        if (seen[slot])
            continue;
        seen[slot] = true;
        left--;
        add(c, slot, WORDS("SET", key, value));
        snprintf(key, sizeof key, "r:{t%d}:1", n);
        add(c, slot, WORDS("SET", key, value));
    }
}

void slots_keys_load(struct pr_cluster *c)
{
    uint32_t partition[SLOTS_HOT];
    choose_hot(partition);
    name_keys(partition);
    for (int i = 0; i < SLOTS_KEYS; i++) {
        load_key(c, &slots_key[i]);
        slots_key[i].members = slots_key[i].type == SLOTS_SET;
        atomic_store(&slots_key[i].member[0], 1);
    }
    load_ballast(c, partition);
    load_rest(c);
    run_batch(c);
    slots_batch_done(&batch);
}

/* --- writing and reading ------------------------------------------------------------ */

void slots_key_write(struct slots_batch *b, const struct slots_key *k, int cell, long seq)
{
    char text[200];
    switch (k->type) {
    case SLOTS_STRING: /* no number: it is no counter */
        snprintf(text, sizeof text, "n%ld", seq);
        slots_batch_add(b, k->slot, true, WORDS("SET", k->name, text));
        return;
    case SLOTS_HASH:
        snprintf(text, sizeof text, "%ld", seq);
        slots_batch_add(b, k->slot, true, WORDS("HSET", k->name, FIELD[cell], text));
        return;
    case SLOTS_SET:
        snprintf(text, sizeof text, "m%ld", seq);
        slots_batch_add(b, k->slot, true, WORDS("SADD", k->name, text));
        return;
    case SLOTS_VERTEX:
    case SLOTS_TYPES:
        break;
    }
    snprintf(text, sizeof text, "%ld", seq);
    slots_batch_add(b, k->slot, true,
                    WORDS("FCALL", "prism_write", "1", k->name, "1", "p:n", text));
}

bool slots_key_written(const struct slots_key *k, const redisReply *r)
{
    if (r == NULL || r->type == REDIS_REPLY_ERROR)
        return false;
    return k->type != SLOTS_VERTEX ||
           (r->type == REDIS_REPLY_ARRAY && r->elements > 0 && r->element[0]->str != NULL &&
            strcmp(r->element[0]->str, "OK") == 0);
}

void slots_key_read(struct slots_batch *b, const struct slots_key *k, int cell, long member)
{
    char text[32];
    switch (k->type) {
    case SLOTS_STRING:
        slots_batch_add(b, k->slot, false, WORDS("GET", k->name));
        return;
    case SLOTS_HASH:
        slots_batch_add(b, k->slot, false, WORDS("HGET", k->name, FIELD[cell]));
        return;
    case SLOTS_SET:
        snprintf(text, sizeof text, "m%ld", member);
        slots_batch_add(b, k->slot, false, WORDS("SISMEMBER", k->name, text));
        return;
    case SLOTS_VERTEX:
    case SLOTS_TYPES:
        break;
    }
    slots_batch_add(b, k->slot, false, WORDS("HGET", k->name, "p:n"));
}

long slots_key_value(const struct slots_key *k, const redisReply *r)
{
    if (k->type == SLOTS_SET)
        return r->type == REDIS_REPLY_INTEGER && r->integer == 1 ? 1 : -1;
    if (r->type != REDIS_REPLY_STRING)
        return -1;
    return strtol(r->str + (k->type == SLOTS_STRING), NULL, 10);
}

/* --- judging -------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void
say(struct slots_loss *out, const struct slots_key *k, const char *format, ...)
{
    va_list words;
    if (out->what[0] != '\0')
        return;
    const int n = snprintf(out->what, sizeof out->what, "%s (slot %u): ", k->name, k->slot);
    va_start(words, format);
    (void)vsnprintf(out->what + n, sizeof out->what - (size_t)n, format, words);
    va_end(words);
}

static void judge_cell(struct slots_key *k, int cell, long value, struct slots_loss *out)
{
    struct slots_cell *l = &k->cell[cell];
    const long acked = atomic_load(&l->acked);
    if (value < acked) {
        out->lost++;
        say(out, k, "value %ld, acknowledged %ld, tried %ld", value, acked, l->tried);
    } else if (value < l->heard)
        out->heard++;
    if (value > l->tried) {
        out->strange++;
        say(out, k, "value %ld, acknowledged %ld, tried only %ld", value, acked, l->tried);
    }
    atomic_store(&l->acked, value);
    l->heard = value;
    l->tried = value > l->tried ? value : l->tried;
    l->unsure = false;
}

static void judge_set(struct slots_key *k, const redisReply *r, struct slots_loss *out)
{
    unsigned long long there[SLOTS_MEMBERS / 64] = { 0 };
    for (size_t i = 0; i < r->elements; i++) {
        const long m = strtol(r->element[i]->str + 1, NULL, 10);
        if (m < 0 || m >= SLOTS_MEMBERS || m >= k->members) {
            out->strange++;
            say(out, k, "member %ld of %ld that were added", m, k->members);
        } else
            there[m / 64] |= 1ULL << (m % 64);
    }
    for (long m = 0; m < k->members; m++) {
        const bool acked = (atomic_load(&k->member[m / 64]) >> (m % 64) & 1) != 0;
        if (acked && (there[m / 64] >> (m % 64) & 1) == 0) {
            out->lost++;
            say(out, k, "member %ld of %ld is gone", m, k->members);
        }
    }
    for (size_t i = 0; i < PR_COUNT(there); i++)
        atomic_store(&k->member[i], there[i]);
}

static void judge(struct slots_key *k, const redisReply *r, struct slots_loss *out)
{
    if (k->type == SLOTS_SET)
        judge_set(k, r, out);
    else if (k->type != SLOTS_HASH)
        judge_cell(k, 0, slots_key_value(k, r), out);
    else
        for (size_t f = 0; f < SLOTS_FIELDS; f++)
            judge_cell(k, (int)f, slots_key_value(k, r->element[f]), out);
}

void slots_keys_judge(struct pr_cluster *c, struct slots_loss *out)
{
    *out = (struct slots_loss){ 0 };
    for (int at = 0; at < SLOTS_KEYS; at += SLOTS_BATCH) {
        const int end = at + SLOTS_BATCH < SLOTS_KEYS ? at + SLOTS_BATCH : SLOTS_KEYS;
        for (int i = at; i < end; i++) {
            const struct slots_key *k = &slots_key[i];
            if (k->type == SLOTS_SET)
                slots_batch_add(&batch, k->slot, false, WORDS("SMEMBERS", k->name));
            else if (k->type == SLOTS_HASH)
                slots_batch_add(&batch, k->slot, false,
                                WORDS("HMGET", k->name, FIELD[0], FIELD[1], FIELD[2], FIELD[3]));
            else
                slots_key_read(&batch, k, 0, 0);
        }
        run_batch(c);
        for (int i = at; i < end; i++)
            judge(&slots_key[i], batch.cmd[i - at].reply, out);
        slots_batch_done(&batch);
    }
}
