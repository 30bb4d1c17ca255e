#include "core/settle.h"

#include "prism/text.h"

#include <stdio.h>

const char *autoscale_outcome_name(enum autoscale_outcome o)
{
    static const char *const name[AUTOSCALE_OUTCOMES] = {
        [AUTOSCALE_DONE] = "done",       [AUTOSCALE_WAITING] = "waiting",
        [AUTOSCALE_DIFFERS] = "differs", [AUTOSCALE_UNKNOWN_STATE] = "unknown",
        [AUTOSCALE_EXCESS] = "excess",   [AUTOSCALE_PARTIAL] = "partial",
        [AUTOSCALE_REFUSED] = "refused",
    };
    return (unsigned)o < AUTOSCALE_OUTCOMES ? name[o] : "?";
}

static void say(struct autoscale_settlement *s, enum autoscale_outcome outcome, bool alarm,
                enum pr_code code, const char *fmt, ...) PR_PRINTF(5, 6);
static void say(struct autoscale_settlement *s, enum autoscale_outcome outcome, bool alarm,
                enum pr_code code, const char *fmt, ...)
{
    va_list ap;

    s->outcome = outcome;
    s->alarm = alarm;
    s->code = code;
    va_start(ap, fmt);
    (void)vsnprintf(s->why, sizeof s->why, fmt, ap);
    pr_utf8_trim(s->why);
    va_end(ap);
}

/* Waited since then for at least `patience`; a clock that stepped back has not waited. */
static bool late(int64_t since_ms, int64_t patience_ms, int64_t now_ms)
{
    return now_ms >= since_ms && now_ms - since_ms >= patience_ms;
}

/* What is late is so since the order, or since it was last seen as it should be: a member
 * that falls over a week after the order gets its time to be replaced. */
static int64_t amiss_since_ms(const struct autoscale_wanted *w)
{
    return w->done_ms > w->sent_ms ? w->done_ms : w->sent_ms;
}

static void without_answer(const struct autoscale_wanted *w, const struct autoscale_reported *r,
                           int64_t now_ms, struct autoscale_settlement *s)
{
    const char *const what = r->problem_text[0] != '\0' ? r->problem_text : pr_code_name(r->code);

    switch (r->code) {
    case PR_EDENIED:
        say(s, AUTOSCALE_REFUSED, true, r->code, "the provider does not let us in: %s", what);
        break;
    case PR_EINVAL:
    case PR_ENOTFOUND:
        say(s, AUTOSCALE_REFUSED, true, r->code, "%s", what);
        break;
    default: {
        const int64_t since = w->known_ms != 0 ? w->known_ms : amiss_since_ms(w);
        say(s, AUTOSCALE_UNKNOWN_STATE, late(since, w->patience_ms, now_ms), r->code,
            "what runs is not known: %s", what);
    }
    }
}

static void with_too_few(const struct autoscale_wanted *w, const struct autoscale_reported *r,
                         bool is_late, struct autoscale_settlement *s)
{
    const bool hopeless = s->coming == 0 && r->problem != AUTOSCALE_NO_PROBLEM;

    if (!hopeless && !is_late) {
        say(s, AUTOSCALE_WAITING, false, PR_OK, "%d of %d run, %d are coming%s%s", s->has,
            s->wanted, s->coming, r->problem_text[0] != '\0' ? "; meanwhile: " : "",
            r->problem_text);
        return;
    }
    /* On the way out, whoever ran before is no part of what was given. */
    const bool none_came = w->desired > w->from && s->has <= w->from;
    const enum pr_code code = hopeless ? PR_EFULL : PR_ETIMEOUT;
    say(s, none_came ? AUTOSCALE_REFUSED : AUTOSCALE_PARTIAL, true, code,
        "%d of %d run, %d are coming, %d unhealthy; %s", s->has, s->wanted, s->coming, r->unhealthy,
        r->problem_text[0] != '\0' ? r->problem_text : "late, and no reason given");
}

static void with_enough(const struct autoscale_reported *r, bool is_late,
                        struct autoscale_settlement *s)
{
    const int all = s->has + s->coming + r->unhealthy;

    if (all == s->wanted && s->has == s->wanted && s->leaving == 0) {
        say(s, AUTOSCALE_DONE, false, PR_OK, "%d run, as wanted%s", s->has,
            r->members_known ? "" : " (whether they are ready is not known)");
        return;
    }
    say(s, is_late ? AUTOSCALE_EXCESS : AUTOSCALE_WAITING, is_late, PR_OK,
        "%d run, %d are coming, %d unhealthy, %d leaving; wanted %d%s", s->has, s->coming,
        r->unhealthy, s->leaving, s->wanted, is_late ? "; the others do not go" : "");
}

void autoscale_settle(const struct autoscale_wanted *w, const struct autoscale_reported *r,
                      int64_t now_ms, struct autoscale_settlement *out)
{
    *out = (struct autoscale_settlement){ .wanted = w->desired };
    if (r->code != PR_OK) {
        without_answer(w, r, now_ms, out);
        return;
    }
    out->has = r->in_service;
    out->coming = r->coming;
    out->leaving = r->leaving;
    if (out->wanted > out->has + out->coming)
        out->missing = out->wanted - out->has - out->coming;

    if (r->max >= 0 && (w->desired > r->max || w->desired < r->min)) {
        say(out, AUTOSCALE_REFUSED, true, PR_EFULL, "%d wanted, but the provider allows %d..%d",
            w->desired, r->min, r->max);
        return;
    }
    if (r->desired != w->desired) {
        /* Neither the number before nor ours: somebody else turns the same wheel. */
        const bool foreign = w->sent_ms != 0 && r->desired != w->from;
        say(out, AUTOSCALE_DIFFERS, foreign, PR_OK, "the provider wants %d, we want %d%s",
            r->desired, w->desired, foreign ? "; somebody else changed it" : "");
        return;
    }
    const int64_t since = amiss_since_ms(w);
    const bool is_late = since != 0 && late(since, w->patience_ms, now_ms);
    if (out->has < out->wanted)
        with_too_few(w, r, is_late, out);
    else
        with_enough(r, is_late, out);
}

void autoscale_settle_all(const struct autoscale_settlement *one, size_t n,
                          struct autoscale_settlement *out)
{
    *out = (struct autoscale_settlement){ .outcome = AUTOSCALE_DONE };
    for (size_t i = 0; i < n; i++) {
        out->wanted += one[i].wanted;
        out->has += one[i].has;
        out->coming += one[i].coming;
        out->leaving += one[i].leaving;
        out->missing += one[i].missing;
        out->alarm = out->alarm || one[i].alarm;
        if (i == 0 || one[i].outcome > out->outcome) {
            out->outcome = one[i].outcome;
            out->code = one[i].code;
            (void)snprintf(out->why, sizeof out->why, "%s", one[i].why);
        }
    }
}
