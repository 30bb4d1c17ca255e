/* An explained decision as whoever is on call wants to read it: what, why, who else thought
 * what, where, at which price, and what has come of it. */
#include "rest_scale.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 12, NAME = 11 };

static const json_t *at(const json_t *o, const char *name)
{
    return json_object_get(o, name);
}

static const char *text(const json_t *o, const char *name)
{
    const char *s = json_string_value(at(o, name));
    return s == NULL ? "" : s;
}

static json_int_t whole(const json_t *o, const char *name)
{
    return json_integer_value(at(o, name));
}

/* "2026-11-21T10:05:00.5+00:00" to "2026-11-21 10:05:00" */
static const char *moment(const char *iso, char out[20])
{
    snprintf(out, 20, "%.19s", iso);
    if (strlen(out) > 10)
        out[10] = ' ';
    return out;
}

/* 71.2, 8.1 G */
static const char *number(const json_t *v, char out[32])
{
    const double x = json_number_value(v);
    if (!json_is_number(v))
        snprintf(out, 32, "unknown");
    else if (fabs(x) >= 1e9)
        snprintf(out, 32, "%.4g G", x / 1e9);
    else if (fabs(x) >= 1e6)
        snprintf(out, 32, "%.4g M", x / 1e6);
    else
        snprintf(out, 32, fabs(x) >= 1000 ? "%.0f" : "%.4g", x);
    return out;
}

static const char *bytes_text(json_int_t bytes, char out[32])
{
    static const char *const unit[] = { "B", "KB", "MB", "GB", "TB", "PB" };
    double x = (double)bytes;
    size_t u = 0;
    for (; x >= 1000 && u + 1 < PR_COUNT(unit); u++)
        x /= 1000;
    snprintf(out, 32, u == 0 ? "%.0f %s" : "%.1f %s", x, unit[u]);
    return out;
}

static const char *seconds_text(json_int_t s, char out[32])
{
    if (s % 60 == 0 && s > 0)
        snprintf(out, 32, "%" JSON_INTEGER_FORMAT " min", s / 60);
    else
        snprintf(out, 32, "%" JSON_INTEGER_FORMAT " s", s);
    return out;
}

/* $ 35,320 */
static const char *money(double usd, char out[32])
{
    char digits[32];
    snprintf(digits, sizeof digits, "%.0f", fabs(usd));
    const size_t n = strlen(digits);
    size_t len = (size_t)snprintf(out, 32, "$ ");
    for (size_t i = 0; i < n && len + 2 < 32; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            out[len++] = ',';
        out[len++] = digits[i];
    }
    out[len] = '\0';
    return out;
}

static void label(struct pr_buf *b, const char *name)
{
    pr_buf_printf(b, "%-*s", NAME, name);
}

/* Clauses parted by "; ", each on a line of its own below the first. */
static void clauses(struct pr_buf *b, const char *name, const char *words)
{
    while (*words != '\0') {
        const char *end = strstr(words, "; ");
        const size_t n = end == NULL ? strlen(words) : (size_t)(end - words);
        label(b, name);
        pr_buf_add(b, words, n);
        pr_buf_str(b, "\n");
        words += n + (end == NULL ? 0 : 2);
        name = "";
    }
}

static bool moves(const json_t *e)
{
    return whole(e, "from") != whole(e, "to");
}

/* --- what came of it --------------------------------------------------------------- */

static const json_t *report_of(const json_t *e)
{
    return at(at(e, "outcome"), "report");
}

static void headline(const json_t *e, struct pr_buf *b)
{
    char t[20];
    const json_t *units = at(e, "units");
    const json_int_t size = whole(units, "size");
    pr_buf_printf(b, "Decision %" JSON_INTEGER_FORMAT ", fleet %s, %s UTC: ", whole(e, "id"),
                  text(e, "fleet"), moment(text(e, "at"), t));
    if (moves(e))
        pr_buf_printf(b, "%s, %" JSON_INTEGER_FORMAT " -> %" JSON_INTEGER_FORMAT " instances",
                      text(e, "move"), whole(e, "from"), whole(e, "to"));
    else
        pr_buf_printf(b, "%s at %" JSON_INTEGER_FORMAT " instances",
                      strcmp(text(e, "move"), "unknown") == 0 ? "cannot tell, stays" : "stays",
                      whole(e, "to"));
    if (moves(e) && size > 1)
        pr_buf_printf(b,
                      " (%" JSON_INTEGER_FORMAT " -> %" JSON_INTEGER_FORMAT
                      " units of %" JSON_INTEGER_FORMAT ")",
                      whole(units, "from"), whole(units, "to"), size);
    pr_buf_str(b, "\n");
    clauses(b, "ALARM", text(e, "alarm"));
    if (json_is_true(at(report_of(e), "alarm")))
        clauses(b, "ALARM", text(report_of(e), "why"));
}

static void leavers(const json_t *r, struct pr_buf *b)
{
    const size_t n = json_array_size(at(r, "leavers"));
    size_t out = 0, told = 0, i;
    json_t *l;
    json_array_foreach(at(r, "leavers"), i, l)
    {
        out += whole(l, "out_ms") > 0;
        told += whole(l, "told_ms") > 0;
    }
    if (n == 0)
        return;
    label(b, "");
    pr_buf_printf(b, "%zu leave: %zu serve nothing any more, %zu were told to end\n", n, out, told);
}

static void counts(const json_t *r, struct pr_buf *b)
{
    static const char *const count[] = { "wanted", "has", "coming", "leaving", "missing" };
    bool any = false;
    for (size_t i = 0; i < PR_COUNT(count); i++) {
        if (!json_is_integer(at(r, count[i])))
            continue;
        if (!any)
            label(b, "");
        pr_buf_printf(b, "%s%s %" JSON_INTEGER_FORMAT, any ? ", " : "", count[i],
                      whole(r, count[i]));
        any = true;
    }
    if (any)
        pr_buf_str(b, "\n");
}

/* "draining, waiting: 3 are drained" */
static void phase(const json_t *r, struct pr_buf *b)
{
    static const char *const part[] = { "phase", "outcome" };
    bool any = false;
    for (size_t i = 0; i < PR_COUNT(part); i++) {
        if (text(r, part[i])[0] == '\0')
            continue;
        if (!any)
            label(b, "");
        pr_buf_printf(b, "%s%s", any ? ", " : "", text(r, part[i]));
        any = true;
    }
    if (text(r, "why")[0] != '\0') {
        if (!any)
            label(b, "");
        pr_buf_printf(b, "%s%s", any ? ": " : "", text(r, "why"));
        any = true;
    }
    if (any)
        pr_buf_str(b, "\n");
}

static void report(const json_t *r, struct pr_buf *b)
{
    const json_t *carry = at(r, "carry");
    counts(r, b);
    phase(r, b);
    leavers(carry, b);
    if (text(carry, "failing")[0] != '\0') {
        label(b, "");
        pr_buf_printf(b, "cannot be done: %s\n", text(carry, "failing"));
    }
    if (json_array_size(at(r, "strays")) > 0) {
        label(b, "");
        pr_buf_printf(b, "%zu run and are in no use: see -o json\n",
                      json_array_size(at(r, "strays")));
    }
}

static void outcome(const json_t *e, struct pr_buf *b)
{
    char t[20];
    const json_t *o = at(e, "outcome"), *plan = at(o, "plan");
    if (!moves(e) && !json_is_object(at(o, "report")))
        return;
    label(b, "outcome");
    if (json_is_true(at(o, "advice")))
        pr_buf_printf(b, "%s\n", text(o, "text"));
    else
        pr_buf_printf(b, "%s since %s: %s\n", text(o, "state"), moment(text(o, "since"), t),
                      text(o, "text"));
    if (json_is_integer(at(o, "supersededBy"))) {
        label(b, "");
        pr_buf_printf(b, "decision %" JSON_INTEGER_FORMAT " took its place\n",
                      whole(o, "supersededBy"));
    }
    if (json_is_object(plan)) {
        label(b, "");
        pr_buf_printf(b, "plan %" JSON_INTEGER_FORMAT " (its slots) is %s%s%s\n", whole(plan, "id"),
                      text(plan, "state"), text(plan, "error")[0] == '\0' ? "" : ": ",
                      text(plan, "error"));
    }
    report(report_of(e), b);
}

/* --- why --------------------------------------------------------------------------- */

static void seen(const json_t *e, struct pr_buf *b)
{
    static const struct {
        const char *member, *words, *unit;
    } row[] = {
        { "cpuPct", "CPU", " %" },
        { "memoryPct", "memory", " %" },
        { "networkBps", "network", "bit/s" },
        { "backlog", "backlog", "" },
        { "load", "load", " members" },
    };
    char v[32], t[20];
    const json_t *s = at(e, "seen");
    label(b, "seen");
    pr_buf_printf(b, "%" JSON_INTEGER_FORMAT " wanted, %" JSON_INTEGER_FORMAT " serve",
                  whole(s, "desired"), whole(s, "serving"));
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (json_is_number(at(s, row[i].member)))
            pr_buf_printf(b, ", %s %s%s", row[i].words, number(at(s, row[i].member), v),
                          row[i].unit);
    if (whole(s, "silent") > 0)
        pr_buf_printf(b, ", %" JSON_INTEGER_FORMAT " are silent", whole(s, "silent"));
    if (text(s, "at")[0] == '\0')
        pr_buf_str(b, "; nothing was measured\n");
    else
        pr_buf_printf(b, " (minute to %s)\n", moment(text(s, "at"), t));
}

static void measured(const json_t *v, struct pr_buf *b)
{
    char one[32], two[32], t[20];
    if (json_is_number(at(v, "observed"))) {
        pr_buf_printf(b, ", observed %s", number(at(v, "observed"), one));
        if (json_is_number(at(v, "threshold")))
            pr_buf_printf(b, " against %s", number(at(v, "threshold"), two));
        if (whole(v, "windowS") > 0)
            pr_buf_printf(b, " over %s", seconds_text(whole(v, "windowS"), one));
    }
    if (text(v, "cooldownUntil")[0] != '\0')
        pr_buf_printf(b, ", cools down until %s", moment(text(v, "cooldownUntil"), t) + 11);
}

static void votes(const json_t *e, struct pr_buf *b)
{
    size_t i;
    json_t *v;
    const char *name = "votes";
    json_array_foreach(at(e, "votes"), i, v)
    {
        label(b, name);
        pr_buf_printf(b, "%c %-8s %-7s %5" JSON_INTEGER_FORMAT,
                      json_is_true(at(v, "decides")) ? '*' : ' ', text(v, "policy"),
                      text(v, "move"), whole(v, "desired"));
        if (whole(v, "wanted") != whole(v, "desired"))
            pr_buf_printf(b, " (asked for %" JSON_INTEGER_FORMAT ")", whole(v, "wanted"));
        pr_buf_printf(b, "  %s", text(v, "rule")[0] == '\0' ? "no rule spoke" : text(v, "rule"));
        measured(v, b);
        pr_buf_str(b, "\n");
        if (text(v, "why")[0] != '\0' && !json_is_true(at(v, "decides")))
            pr_buf_printf(b, "%*s%s\n", NAME + 2, "", text(v, "why"));
        if (text(v, "limited")[0] != '\0')
            pr_buf_printf(b, "%*slimited: %s\n", NAME + 2, "", text(v, "limited"));
        name = "";
    }
    if (name[0] == '\0' && text(at(e, "why"), "policy")[0] == '\0') {
        label(b, "");
        pr_buf_str(b, "no policy decides this: a floor, a limit or the schedule does\n");
    }
}

static void floors(const json_t *e, struct pr_buf *b)
{
    const json_t *f = at(e, "floors");
    label(b, "floor");
    pr_buf_printf(b,
                  "%" JSON_INTEGER_FORMAT " (%s); the settings allow %" JSON_INTEGER_FORMAT
                  " to %" JSON_INTEGER_FORMAT "\n",
                  whole(f, "instances"), text(f, "why"), whole(f, "min"), whole(f, "max"));
}

/* --- where and who ------------------------------------------------------------------- */

static void places(const json_t *e, struct pr_buf *b)
{
    static const char *const what[] = { "join", "return", "leave" };
    const char *name = "places";
    size_t i;
    json_t *p;
    json_array_foreach(at(e, "places"), i, p)
    {
        bool any = false;
        label(b, name);
        pr_buf_printf(b, "%s%s%s: ", text(p, "zone"), text(p, "group")[0] == '\0' ? "" : ", ",
                      text(p, "group"));
        for (size_t w = 0; w < PR_COUNT(what); w++)
            if (whole(p, what[w]) > 0) {
                pr_buf_printf(b, "%s%" JSON_INTEGER_FORMAT " %s", any ? ", " : "",
                              whole(p, what[w]), what[w]);
                any = true;
            }
        if (whole(p, "primaries") > 0)
            pr_buf_printf(b, ", primaries: %" JSON_INTEGER_FORMAT, whole(p, "primaries"));
        pr_buf_str(b, "\n");
        name = "";
    }
    clauses(b, name, text(e, "placesWhy"));
}

static void leaver(const json_t *n, struct pr_buf *b)
{
    char size[32];
    pr_buf_printf(b, "%s (%s", text(n, "id"), text(n, "zone"));
    if (text(n, "shard")[0] != '\0')
        pr_buf_printf(b, ", %s of %s", json_is_true(at(n, "primary")) ? "primary" : "replica",
                      text(n, "shard"));
    if (json_is_integer(at(n, "bytes")))
        pr_buf_printf(b, ", %s)", bytes_text(whole(n, "bytes"), size));
    else
        pr_buf_printf(b, ", %" JSON_INTEGER_FORMAT " slots)", whole(n, "slots"));
    if (strstr(text(n, "why"), "fewest bytes") == NULL) /* which the last line says of all */
        pr_buf_printf(b, ": %s", text(n, "why"));
    pr_buf_str(b, "\n");
}

static void leaves(const json_t *e, struct pr_buf *b)
{
    char size[32], least[32];
    const json_t *l = at(e, "leaves"), *nodes = at(l, "nodes");
    const size_t n = json_array_size(nodes);
    const char *name = "leave";
    for (size_t i = 0; i < n && i < SHOWN; i++) {
        label(b, name);
        leaver(json_array_get(nodes, i), b);
        name = "";
    }
    if (n > SHOWN) {
        label(b, "");
        pr_buf_printf(b, "and %zu more: see -o json\n", n - SHOWN);
    }
    clauses(b, n == 0 ? "leave" : "", text(l, "why"));
    if (n > 0) {
        label(b, "");
        pr_buf_printf(b, "%s to move", bytes_text(whole(l, "bytes"), size));
        if (json_is_integer(at(l, "leastBytesStaying")))
            pr_buf_printf(b, "; the least that stays has %s",
                          bytes_text(whole(l, "leastBytesStaying"), least));
        pr_buf_str(b, "\n");
    }
    const json_t *back = at(e, "returns");
    if (json_array_size(back) == 0)
        return;
    label(b, "return");
    for (size_t i = 0; i < json_array_size(back) && i < SHOWN; i++)
        pr_buf_printf(b, "%s%s", i == 0 ? "" : ", ", json_string_value(json_array_get(back, i)));
    pr_buf_printf(b, "%s: their drain is called off\n",
                  json_array_size(back) > SHOWN ? ", ..." : "");
}

static void price(const json_t *e, struct pr_buf *b)
{
    char before[32], after[32], change[32], t[20], in[32];
    const json_t *c = at(e, "cost");
    const double usd = json_number_value(at(c, "usdPerMonthChange"));
    if (json_number_value(at(c, "usdPerMonthBefore")) > 0 ||
        json_number_value(at(c, "usdPerMonthAfter")) > 0) {
        label(b, "cost");
        pr_buf_printf(b, "%s -> %s a month (%s%s)\n",
                      money(json_number_value(at(c, "usdPerMonthBefore")), before),
                      money(json_number_value(at(c, "usdPerMonthAfter")), after),
                      usd < 0 ? "-" : "+", money(usd, change));
    }
    if (json_is_integer(at(e, "usefulInS")) && moves(e)) {
        label(b, "helps");
        if (whole(e, "usefulInS") == 0)
            pr_buf_str(b, "at once\n");
        else
            pr_buf_printf(b, "in %s, from %s UTC on\n", seconds_text(whole(e, "usefulInS"), in),
                          moment(text(e, "usefulAt"), t) + 11);
    }
    clauses(b, "advice", text(e, "advice"));
}

void api_decision_note(const json_t *e, struct pr_buf *b)
{
    headline(e, b);
    outcome(e, b);
    clauses(b, "why", text(at(e, "why"), "text"));
    seen(e, b);
    votes(e, b);
    floors(e, b);
    places(e, b);
    leaves(e, b);
    price(e, b);
    label(b, "settings");
    pr_buf_printf(b, "version %" JSON_INTEGER_FORMAT "\n", whole(e, "settingsVersion"));
}
