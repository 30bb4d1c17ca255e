/* Conformance cases of the reference: its rule table, what its rules do, its per cents, and its
 * example run. */
#include "cli/cases_aws.h"

#include "cli/cases_read.h"
#include "core/aws.h"
#include "core/rules.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MINUTE = AUTOSCALE_MINUTE_MS, NO_LIMIT = 1000000000, MINUTES = 240 };
static const char ABOVE[] = ">|gt|above|greater|over", BELOW[] = "<|lt|below|less|under";

/* --- per cents ------------------------------------------------------------------------------ */

static int rounded(struct case_fields *f, const char *how, int capacity, double pct)
{
    const double share = capacity * pct / 100;
    if (case_is(how, "aws|truncate|trunc|toward_zero|truncation"))
        return capacity + autoscale_round_percent(share);
    if (case_is(how, "floor|down"))
        return capacity + (int)floor(share);
    if (case_is(how, "ceil|ceiling|up|memo|reference|rules"))
        return share > 0 ? autoscale_rule_step(capacity, pct) : capacity + (int)ceil(share);
    if (case_is(how, "nearest|round|half_up"))
        return capacity + (int)floor(share + 0.5);
    case_differs(f, "no rounding \"%.40s\"", how);
    return capacity;
}

void case_memo_percent(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    int capacity = case_int(&f, "capacity|current|instances|from");
    const double pct = case_number(&f, "adjust_pct|pct|adjust|percent|change_pct");
    const char *how = case_text(&f, "rounding|round|mode");
    const json_t *expect = json_object_get(one, "expect");
    const bool chain = json_is_array(expect);
    const int steps =
        case_int_or(&f, "steps|times|repeat|n|chain", chain ? (int)json_array_size(expect) : 1);
    const int min = case_int_or(&f, "min", 0), max = case_int_or(&f, "max", NO_LIMIT);
    if (steps < 1 || steps > MINUTES || (chain && steps != (int)json_array_size(expect)))
        case_differs(&f, "steps: want 1 to %d, and as many in expect", MINUTES);
    for (int i = 0; i < steps && i < MINUTES; i++) {
        capacity = autoscale_within(rounded(&f, how, capacity, pct), min, max);
        if (chain)
            case_same(&f, "expect", json_array_get(expect, (size_t)i), capacity);
    }
    if (chain)
        (void)case_any(&f, "expect");
    else
        case_expect(&f, "capacity|desired|instances", capacity);
    case_leftover(&f);
}

void case_memo_appendix_e(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    case_differs(&f, "a row of the reference's example run, which no rule set follows "
                     "(docs/explanation/autoscale.md says why)");
}

/* --- the table ------------------------------------------------------------------------------ */

static bool metric_in(const char *text, enum autoscale_metric *out)
{
    static const struct {
        const char *words;
        enum autoscale_metric m;
    } list[] = { { "cpu", AUTOSCALE_CPU },
                 { "mem|ram", AUTOSCALE_MEMORY },
                 { "net|bandwidth", AUTOSCALE_NETWORK } };
    for (size_t i = 0; i < PR_COUNT(list); i++)
        if (case_mentions(text, list[i].words)) {
            *out = list[i].m;
            return true;
        }
    return false;
}

/* What a row leaves open (null) is not compared. */
static void same_unless_null(struct case_fields *f, const char *names, double got)
{
    const json_t *v = case_any(f, names);
    if (v != NULL && !json_is_null(v))
        case_same(f, f->asked[f->n - 1], v, got);
}

static void same_step(struct case_fields *f, const char *names, const struct autoscale_rule *r)
{
    const json_t *v = case_any(f, names);
    const char *text = json_string_value(v);
    if (text == NULL) {
        if (v != NULL && !json_is_null(v))
            case_same(f, f->asked[f->n - 1], v, r->step_pct);
        return;
    }
    enum autoscale_move way = AUTOSCALE_HOLD; /* "+10 %", or "scale_out" */
    char *end = NULL;
    const double number = strtod(text, &end);
    if (end != text && number != r->step_pct)
        case_differs(f, "action: computed %+g %%, want %.40s", r->step_pct, text);
    else if (end == text && (!case_move(text, &way) || (way == AUTOSCALE_OUT) != (r->step_pct > 0)))
        case_differs(f, "action: computed %+g %%, want %.40s", r->step_pct, text);
}

static void same_threshold(struct case_fields *f, const struct autoscale_rule *r)
{
    const char *unit = case_text_or(f, "unit", "");
    const bool gbps = case_is(unit, "gbps|gbit/s");
    const bool net = r->metric == AUTOSCALE_NETWORK;
    same_unless_null(f, "threshold_pct", r->threshold);
    same_unless_null(f, "threshold_gbps", r->threshold / 1e9);
    same_unless_null(f, "threshold_bps", r->threshold);
    const json_t *v = case_any(f, "threshold|value|limit");
    if (v == NULL || json_is_null(v))
        return;
    /* Without a unit, 8 can only be Gbps. */
    const bool small = json_is_number(v) && json_number_value(v) < 1e6;
    case_same(f, "threshold", v, net && (gbps || small) ? r->threshold / 1e9 : r->threshold);
}

/* called: what the row is called, which may say more than its fields; "": nothing. */
static const struct autoscale_rule *find_rule(struct case_fields *f, const char *called,
                                              const struct autoscale_rules *table)
{
    enum autoscale_metric m;
    if (!metric_in(case_text_or(f, "metric", called), &m)) {
        case_differs(f, "no rule for such a metric");
        return NULL;
    }
    const char *op = case_text_or(f, "op|cmp|comparison|operator", NULL);
    const char *direction = case_text_or(f, "direction", NULL);
    enum autoscale_move way = AUTOSCALE_OUT;
    if (direction != NULL && !case_move(direction, &way))
        case_differs(f, "no direction \"%.40s\"", direction);
    bool out = way == AUTOSCALE_OUT;
    if (op != NULL) {
        const bool above = case_is(op, ABOVE), below = case_is(op, BELOW);
        if (!above && !below)
            case_differs(f, "thresholds are strict: no \"%.40s\"", op);
        if (direction != NULL && above != out)
            case_differs(f, "op and direction do not fit");
        out = above;
    } else if (direction == NULL) { /* the sign of the step says it */
        const json_t *v = json_object_get(f->of, "adjust_pct");
        out =
            json_is_number(v) ? json_number_value(v) > 0 : !case_mentions(called, "low|_in|down|<");
    }
    for (size_t i = 0; i < table->rules; i++)
        if (table->rule[i].metric == m && (table->rule[i].step_pct > 0) == out)
            return &table->rule[i];
    case_differs(f, "there is no such rule");
    return NULL;
}

/* Returns how many values of the rule the row tells. */
static size_t check_row(struct case_fields *f, const struct autoscale_rule *r)
{
    const size_t before = f->n;
    same_threshold(f, r);
    same_step(f, "adjust_pct|adjust|step_pct|change_pct|step|scale_pct|pct", r);
    same_unless_null(f,
                     "sustained_min|for_min|duration_min|window_min|minutes|period_min|sustain_min",
                     (double)r->sustained_ms / MINUTE);
    same_unless_null(f, "sustained_s|for_s|duration_s|window_s", (double)r->sustained_ms / 1000);
    same_unless_null(f, "cooldown_min|cooldown", (double)r->cooldown_ms / MINUTE);
    same_unless_null(f, "cooldown_s", (double)r->cooldown_ms / 1000);
    same_step(f, "action|scale", r);
    const size_t values = f->n - before;
    same_step(f, "direction", r);
    const char *op = case_text_or(f, "op|cmp|comparison|operator", NULL);
    if (op != NULL && !case_is(op, r->step_pct > 0 ? ABOVE : BELOW))
        case_differs(f, "op: computed \"%c\", want \"%.40s\"", r->step_pct > 0 ? '>' : '<', op);
    return values;
}

/* "CPU > 70 % for 5 min: +10 %, cooldown 5 min": its numbers in the table's order. */
static const struct autoscale_rule *check_words(struct case_fields *f, const char *text,
                                                const struct autoscale_rules *table)
{
    const struct autoscale_rule *r = find_rule(f, text, table);
    if (r == NULL)
        return NULL;
    const bool net = r->metric == AUTOSCALE_NETWORK;
    const double want[] = { net ? r->threshold / 1e9 : r->threshold,
                            (double)r->sustained_ms / MINUTE, fabs(r->step_pct),
                            (double)r->cooldown_ms / MINUTE };
    size_t n = 0;
    for (const char *p = text + strcspn(text, "0123456789"); *p != '\0';
         p += strcspn(p, "0123456789")) {
        char *end = NULL;
        const double got = strtod(p, &end);
        if (n == PR_COUNT(want) || got != want[n])
            case_differs(f, "number %zu, %g, is not the table's", n + 1, got);
        n++;
        p = end;
    }
    if (n < 2)
        case_differs(f, "it has no threshold, or says not for how long");
    return r;
}

static void check_entry(struct case_fields *f, const char *called, const json_t *entry,
                        const struct autoscale_rules *table, bool *seen)
{
    char at[64];
    snprintf(at, sizeof at, "rule %s", called);
    struct case_fields row = { .of = entry, .at = at, .diff = f->diff };
    const struct autoscale_rule *r = NULL;
    if (json_is_string(entry)) {
        r = check_words(&row, json_string_value(entry), table);
    } else {
        row = case_inside(entry, at, f->diff);
        (void)case_any(&row, "id|name|rule");
        r = find_rule(&row, called, table);
        if (r != NULL && check_row(&row, r) == 0)
            case_differs(&row, "it says nothing of its rule");
        case_leftover(&row);
    }
    if (r != NULL && seen[r - table->rule])
        case_differs(&row, "its rule was there before");
    if (r != NULL)
        seen[r - table->rule] = true;
}

/* An array of rules, or an object of them by what they are called. */
static void check_table(struct case_fields *f, const json_t *rows)
{
    struct autoscale_rules table;
    bool seen[AUTOSCALE_RULE_COUNT] = { false };
    size_t i = 0;
    const char *called = NULL;
    json_t *entry = NULL;
    autoscale_rules_default(&table);
    json_array_foreach((json_t *)rows, i, entry)
    {
        char number[24];
        snprintf(number, sizeof number, "%zu", i + 1);
        check_entry(f, number, entry, &table, seen);
    }
    json_object_foreach((json_t *)rows, called, entry) check_entry(f, called, entry, &table, seen);
    for (i = 0; i < table.rules; i++)
        if (!seen[i])
            case_differs(f, "rule %zu of the table is not there", i + 1);
}

/* One rule: what finds it among the inputs, what it says expected. */
static void check_one(struct case_fields *f, const json_t *expect)
{
    struct autoscale_rules table;
    autoscale_rules_default(&table);
    const struct autoscale_rule *r = find_rule(f, "", &table);
    if (r == NULL)
        return;
    const size_t values = check_row(f, r);
    if (expect == NULL || json_is_null(expect)) {
        if (values == 0)
            case_differs(f, "it says nothing of its rule");
    } else if (json_is_object(expect)) {
        struct case_fields e = case_inside(expect, "expect", f->diff);
        if (check_row(&e, r) == 0)
            case_differs(&e, "it says nothing of its rule");
        case_leftover(&e);
    } else if (json_is_number(expect)) {
        case_same(f, "expect", expect, r->step_pct);
    } else {
        case_expect_move(f, r->step_pct > 0 ? AUTOSCALE_OUT : AUTOSCALE_IN);
    }
}

/* --- what the rules do ------------------------------------------------------------------------ */

/* A number: so long; an array: minute by minute, the newest last, null missing. Right-aligned. */
static void read_series(struct case_fields *f, const char *names, double scale, int minutes,
                        double *to)
{
    const json_t *v = case_any(f, names);
    const int n = json_is_array(v) ? (int)json_array_size(v) : minutes;
    for (int i = 0; i < MINUTES; i++)
        to[i] = NAN;
    if (v == NULL || json_is_null(v))
        return;
    for (int i = 0; i < n && i < MINUTES; i++) {
        const json_t *one = json_is_array(v) ? json_array_get(v, (size_t)(n - 1 - i)) : v;
        if (json_is_number(one))
            to[MINUTES - 1 - i] = json_number_value(one) * scale;
        else if (!json_is_null(one))
            case_differs(f, "field \"%.*s\" is no number", (int)strcspn(names, "|"), names);
    }
}

static void check_run(struct case_fields *f)
{
    static struct autoscale_sample sample[MINUTES];
    static double cpu[MINUTES], memory[MINUTES], gbps[MINUTES];
    const int minutes = case_int_or(f, "for_min|minutes|sustained_min|duration_min", 1);
    const int capacity = case_int(f, "capacity|instances|current|desired");
    read_series(f, "cpu|cpu_pct", 1, minutes, cpu);
    read_series(f, "memory|memory_pct|mem", 1, minutes, memory);
    read_series(f, "network_gbps|network|net_gbps", 1e9, minutes, gbps);
    for (int i = 0; i < MINUTES; i++)
        sample[i] = (struct autoscale_sample){ .at_ms = (int64_t)(i + 1) * MINUTE,
                                               .cpu_pct = cpu[i],
                                               .memory_pct = memory[i],
                                               .network_bps = gbps[i],
                                               .backlog = NAN,
                                               .load = NAN };
    struct autoscale_action action[2];
    struct autoscale_view v = { .now_ms = (int64_t)MINUTES * MINUTE,
                                .desired = capacity,
                                .serving = capacity,
                                .min = case_int_or(f, "min", 0),
                                .max = case_int_or(f, "max", NO_LIMIT),
                                .sample = sample,
                                .samples = MINUTES,
                                .action = action };
    const double in = case_number_or(f, "last_in_min_ago|since_in_min|last_scale_in_min_ago", NAN);
    const double out =
        case_number_or(f, "last_out_min_ago|since_out_min|last_scale_out_min_ago", NAN);
    const bool in_first = in > out; /* longer ago */
    for (int k = 0; k < 2; k++) {
        const bool is_in = (k == 0) == in_first;
        const double ago = is_in ? in : out;
        if (!isnan(ago))
            action[v.actions++] =
                (struct autoscale_action){ v.now_ms - (int64_t)(ago * MINUTE),
                                           is_in ? capacity + 1 : capacity - 1, capacity };
    }
    struct autoscale_rules table;
    struct autoscale_vote vote;
    autoscale_rules_default(&table);
    autoscale_rules_vote(&table, &v, &vote);
    const json_t *expect = json_object_get(f->of, "expect");
    if (json_is_string(expect)) {
        case_expect_move(f, vote.move == AUTOSCALE_UNKNOWN ? AUTOSCALE_HOLD : vote.move);
        return;
    }
    const json_t *word = json_object_get(expect, "action");
    if (word == NULL) {
        case_expect(f, "capacity|instances|desired", vote.desired);
        return;
    }
    enum autoscale_move want;
    struct case_fields e = case_inside(case_need(f, "expect"), "expect", f->diff);
    if (!case_move(case_text(&e, "action"), &want) || want != vote.move)
        case_differs(&e, "action: computed %s", vote.why);
    same_unless_null(&e, "capacity|instances|desired", vote.desired);
    case_leftover(&e);
}

/* {"cpu_high": {...}, "cpu_low": {...}} */
static bool is_keyed(const json_t *v)
{
    const char *name = NULL;
    json_t *one = NULL;
    json_object_foreach((json_t *)v, name, one)
    {
        if (!json_is_object(one) && !json_is_string(one))
            return false;
    }
    return json_is_object(v) && json_object_size(v) > 1 && json_object_get(v, "metric") == NULL;
}

void case_memo_rules(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    const json_t *rows = json_object_get(one, "rules"), *expect = json_object_get(one, "expect");
    if (json_is_array(rows) || json_is_array(expect)) {
        check_table(&f, case_any(&f, json_is_array(rows) ? "rules" : "expect"));
    } else if (json_is_object(expect) && json_is_array(json_object_get(expect, "rules"))) {
        struct case_fields e = case_inside(case_any(&f, "expect"), "expect", diff);
        check_table(&e, case_any(&e, "rules"));
        case_leftover(&e);
    } else if (is_keyed(rows) || (is_keyed(expect) && json_object_get(one, "metric") == NULL &&
                                  json_object_get(expect, "action") == NULL)) {
        check_table(&f, case_any(&f, is_keyed(rows) ? "rules" : "expect"));
    } else if (json_object_get(one, "metric") != NULL) {
        check_one(&f, case_any(&f, "expect"));
    } else {
        check_run(&f);
    }
    case_leftover(&f);
}
