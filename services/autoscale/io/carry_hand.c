/* The decision in hand: begun from what was decided, or taken over from who began it. */
#include "io/carry_private.h"

#include "io/decisions.h"
#include "io/view.h"
#include "json/json.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/text.h"

#include <stdlib.h>
#include <string.h>

enum { SOON_MS = 10000, SETTLE_MS = 4000, TURNOVER_MS = 60000 };

void carry_let_go(struct carried *one)
{
    free(one->record);
    free(one->last);
    free(one->saved);
    one->record = one->last = NULL;
    one->saved = NULL;
    one->id = 0;
}

struct autoscale_carry_pace carry_pace(const struct carried *one)
{
    const struct autoscale_setup *s = one->of->setup;
    const double rate = one->c->o.cfg->clock_rate; /* what others need, they need in our time */
    const int64_t patience_ms = (int64_t)s->patience_s * 1000;
    return (struct autoscale_carry_pace){ .drain_ms = (int64_t)s->drain_s * 1000,
                                          .patience_ms = patience_ms,
                                          .give_up_ms = 3 * patience_ms,
                                          .again_ms = (int64_t)(SOON_MS * rate),
                                          .settle_ms = (int64_t)(SETTLE_MS * rate),
                                          /* Whoever takes over the lease may need a while. */
                                          .lapse_ms =
                                              3 * patience_ms + (int64_t)(TURNOVER_MS * rate) };
}

enum pr_code carry_look_at_clock(struct carried *one, const struct pr_lease *lease,
                                 struct pr_err *err)
{
    enum autoscale_clock is = AUTOSCALE_CLOCK_WAIT;
    const int64_t now_ms = pr_now_ms();
    one->clock.behind_since_ms = 0; /* never sure: what is of the future is the deciding thread's */
    const enum pr_code rc = autoscale_clock_look(
        &one->clock, one->c->db, lease, one->of->name,
        autoscale_fleet_time(one->c->o.cfg, one->of, now_ms), now_ms, &is, err);
    return rc == PR_OK && is != AUTOSCALE_CLOCK_RIGHT
               ? pr_fail(err, PR_EUNAVAIL, "%s", one->clock.why)
               : rc;
}

static int64_t groups_of(const struct autoscale_setup *s)
{
    int64_t all = 0;
    for (size_t t = 0; t < s->targets; t++) {
        const struct autoscale_setup_target *one = &s->target[t];
        all = autoscale_carry_groups(all, one->name, s->fleet.zone[one->zone],
                                     one->group < 0 ? "" : s->fleet.group[one->group].name);
    }
    return all;
}

/* A copy of the record of the latest decision that was begun. */
enum pr_code carry_load_record(struct carried *one, int64_t *id, struct autoscale_carry **out,
                               struct pr_err *err)
{
    struct pr_arena arena;
    struct autoscale_carry *got = NULL;
    pr_arena_init(&arena, 0);
    *out = NULL;
    enum pr_code rc = autoscale_carry_load(one->c->db, &arena, one->of->name, id, &got, err);
    if (rc == PR_EDATA) { /* of another version */
        pr_warn(PR_EV("carry.record_unread"), PR_S("fleet", one->of->name), PR_E(err));
        rc = PR_OK;
        got = NULL;
    }
    if (rc == PR_OK && got != NULL) {
        *out = malloc(sizeof **out);
        if (*out == NULL)
            rc = pr_fail(err, PR_ENOMEM, "the record of a decision");
        else
            **out = *got;
    }
    pr_arena_done(&arena);
    if (rc == PR_OK && *out != NULL && (*out)->groups != groups_of(one->of->setup) &&
        (*out)->phase != AUTOSCALE_PHASE_DONE) /* its numbers are of other groups */
        (*out)->phase = AUTOSCALE_PHASE_FAILED;
    return rc;
}

static void name_ids(const struct autoscale_json_input *in, const int *index, size_t n,
                     const char **id)
{
    for (size_t i = 0; i < n; i++)
        id[i] = in->in.node[index[i]].id;
}

struct beginning {
    struct autoscale_json_input *in;
    struct autoscale_decision *d;
    json_t *input, *decision;
    const char **leave, **back;
};

static enum pr_code read_decision(struct beginning *b, const struct autoscale_decision_row *row,
                                  struct pr_err *err)
{
    b->in = calloc(1, sizeof *b->in);
    b->d = calloc(1, sizeof *b->d);
    if (b->in == NULL || b->d == NULL)
        return pr_fail(err, PR_ENOMEM, "a decision");
    enum pr_code rc = autoscale_json_parse(row->input, strlen(row->input), &b->input, err);
    if (rc == PR_OK)
        rc = autoscale_json_parse(row->decision, strlen(row->decision), &b->decision, err);
    if (rc == PR_OK)
        rc = autoscale_json_input_read(b->input, NULL, b->in, err);
    if (rc == PR_OK)
        rc = autoscale_json_decision_read(b->decision, &b->in->in, b->d, err);
    if (rc != PR_OK)
        return rc;
    b->leave = calloc(b->d->n_leaves + 1, sizeof(const char *));
    b->back = calloc(b->d->n_returns + 1, sizeof(const char *));
    if (b->leave == NULL || b->back == NULL)
        return pr_fail(err, PR_ENOMEM, "a decision");
    name_ids(b->in, b->d->leaves, b->d->n_leaves, b->leave);
    name_ids(b->in, b->d->returns, b->d->n_returns, b->back);
    return PR_OK;
}

static void beginning_done(struct beginning *b)
{
    if (b->in != NULL)
        autoscale_json_input_done(b->in);
    free(b->in);
    free(b->d);
    free(b->leave);
    free(b->back);
    json_decref(b->input);
    json_decref(b->decision);
}

enum pr_code carry_intend(struct carry_look_io *k, const struct autoscale_decision_row *row,
                          struct autoscale_carry *out, struct pr_err *err)
{
    struct beginning b = { 0 };
    enum pr_code rc = read_decision(&b, row, err);
    if (rc == PR_OK) {
        const struct autoscale_intent intent = {
            .fleet = &k->one->of->setup->fleet,
            .place = b.d->place,
            .places = b.d->places,
            .to = b.d->to,
            .leave = b.leave,
            .leaves = b.d->n_leaves,
            .back = b.back,
            .backs = b.d->n_returns,
            .zone = k->zone,
            .group = k->group,
        };
        rc = autoscale_carry_begin(&intent, k->one->last, &k->facts, out, err);
    }
    beginning_done(&b);
    return rc;
}

static void fail(const struct carry_look_io *k, struct autoscale_carry *record, const char *why)
{
    memset(record, 0, sizeof *record);
    record->targets = k->facts.targets;
    record->phase = AUTOSCALE_PHASE_FAILED;
    record->alarm = true;
    record->begun_ms = record->ended_ms = k->now_ms;
    (void)snprintf(record->why, sizeof record->why, "%s", why);
    pr_utf8_mend(record->why, strlen(record->why));
}

/* PR_EINVAL: it is never to be begun. */
static enum pr_code fits(struct carry_look_io *k, const struct autoscale_decision_row *row,
                         struct pr_err *err)
{
    const struct autoscale_carry_pace pace = carry_pace(k->one);
    char why[256];
    switch (autoscale_carry_fitness(&pace, row->at_ms, row->settings_version, k->now_ms,
                                    k->one->of->version, why)) {
    case AUTOSCALE_FIT:
        return PR_OK;
    case AUTOSCALE_NOT_YET:
        k->one->c->fleets_us = 0;
        return pr_fail(err, PR_EUNAVAIL, "%s", why);
    case AUTOSCALE_STALE:
        break;
    }
    return pr_fail(err, PR_EINVAL, "%s", why);
}

/* The intent is saved before anything is told to anybody. */
enum pr_code carry_begin(struct carry_look_io *k, int64_t id, struct pr_err *err)
{
    struct carried *one = k->one;
    struct autoscale_decision_row row;
    struct pr_arena arena;
    struct autoscale_carry *record = calloc(1, sizeof *record);
    pr_arena_init(&arena, 0);
    enum pr_code rc = record == NULL ? pr_fail(err, PR_ENOMEM, "the record of a decision")
                                     : autoscale_decision_load(one->c->db, &arena, id, &row, err);
    const int64_t at_ms = rc == PR_OK ? row.at_ms : 0;
    if (rc == PR_OK)
        rc = fits(k, &row, err);
    if (rc == PR_OK)
        rc = carry_intend(k, &row, record, err);
    pr_arena_done(&arena);
    /* Never to be carried out, or not for too long: it has failed. */
    if (rc == PR_EINVAL || rc == PR_EDATA ||
        (rc == PR_EUNAVAIL && at_ms != 0 && k->now_ms - at_ms >= carry_pace(one).give_up_ms)) {
        fail(k, record, err->text);
        rc = PR_OK;
    }
    if (rc != PR_OK) {
        free(record);
        return rc;
    }
    record->groups = groups_of(one->of->setup);
    one->id = id;
    one->record = record;
    one->trouble[0] = '\0';
    rc = carry_save(k, true, err);
    if (rc != PR_OK) {
        carry_let_go(one);
        return rc;
    }
    pr_info(PR_EV("carry.begun"), PR_S("fleet", one->of->name), PR_I("decision", id));
    return PR_OK;
}

/* Of a decision that somebody began: us, or who held the lease before. */
enum pr_code carry_resume(struct carry_look_io *k, int64_t id, struct pr_err *err)
{
    struct carried *one = k->one;
    int64_t of = 0;
    struct autoscale_carry *record = NULL;
    enum pr_code rc = carry_load_record(one, &of, &record, err);
    const bool read = record != NULL && of == id;
    if (rc != PR_OK)
        return rc;
    if (record == NULL)
        record = calloc(1, sizeof *record);
    if (record == NULL)
        return pr_fail(err, PR_ENOMEM, "the record of a decision");
    if (!read)
        fail(k, record, "its record cannot be read: what was begun is left as it is");
    else if (record->phase == AUTOSCALE_PHASE_FAILED) {
        rc = carry_stop_plan(one, k->lease, record->plan_id, false, err);
        fail(k, record, "the fleet's groups were changed: what was begun is left as it is");
    }
    if (rc != PR_OK) {
        free(record);
        return rc;
    }
    for (size_t t = 0; t < record->targets; t++)
        record->target[t].known_ms = k->now_ms;
    free(one->record);
    one->record = record;
    one->id = id;
    pr_info(PR_EV("carry.resumed"), PR_S("fleet", one->of->name), PR_I("decision", id),
            PR_S("phase", autoscale_phase_name(record->phase)));
    return PR_OK;
}
