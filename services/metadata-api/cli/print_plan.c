/* A fleet plan as people read it: what moves, what it costs, what it brings, how
 * far it is, and why the rest stays. */
#include "ctl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
enum { MAX_NOTES = 20, VALUE = 1024 };

void ctl_bytes_text(char *out, size_t cap, double bytes)
{
    static const char *const unit[] = { "B", "KB", "MB", "GB", "TB", "PB" };
    size_t u = 0;
    while (bytes >= 1000 && u + 1 < COUNT(unit)) {
        bytes /= 1000;
        u++;
    }
    snprintf(out, cap, u == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, unit[u]);
}

void ctl_duration_text(char *out, size_t cap, double seconds)
{
    if (seconds < 120)
        snprintf(out, cap, "%.0f s", seconds);
    else if (seconds < 2 * 3600)
        snprintf(out, cap, "%.0f min", seconds / 60);
    else
        snprintf(out, cap, "%.1f h", seconds / 3600);
}

static const char *text(const json_t *object, const char *name)
{
    const char *s = json_string_value(json_object_get(object, name));
    return s == NULL ? "" : s;
}

void ctl_print_line(const char *name, const char *value)
{
    if (value[0] != '\0')
        printf("%-12s %s\n", name, value);
}

static void append(char out[VALUE], const char *sep, const char *word)
{
    const size_t n = strlen(out);
    snprintf(out + n, VALUE - n, "%s%s", n == 0 ? "" : sep, word);
}

/* "join n13, n14, role auto" */
static void print_goal(const json_t *plan)
{
    const json_t *goal = json_object_get(plan, "goal"), *item;
    char value[VALUE] = "", word[160];
    size_t i;
    append(value, "", text(goal, "kind"));
    json_array_foreach(json_object_get(goal, "nodes"), i, item)
        append(value, i == 0 ? " " : ", ", json_string_value(item));
    if (text(goal, "node")[0] != '\0')
        append(value, " ", text(goal, "node"));
    static const char *const extra[] = { "with", "shard", "role" };
    for (i = 0; i < COUNT(extra); i++)
        if (text(goal, extra[i])[0] != '\0') {
            snprintf(word, sizeof word, "%s %s", extra[i], text(goal, extra[i]));
            append(value, ", ", word);
        }
    if (json_array_size(json_object_get(goal, "groups")) > 0) {
        snprintf(word, sizeof word, "%zu groups", json_array_size(json_object_get(goal, "groups")));
        append(value, " ", word);
    }
    ctl_print_line("goal", value);
}

static json_int_t steps_in(const json_t *states, const char *only)
{
    const char *state;
    json_t *v;
    json_int_t n = 0;
    json_object_foreach((json_t *)states, state, v) if (only == NULL || strcmp(state, only) == 0)
        n += json_integer_value(json_object_get(v, "steps"));
    return n;
}

/* "slot 5/120, meet 2/2": verified of all, once it has begun. */
static void print_steps(const json_t *plan)
{
    const json_t *steps = json_object_get(plan, "steps");
    const bool begun = json_is_string(json_object_get(plan, "startedAt"));
    char value[VALUE] = "", word[96];
    const char *kind;
    json_t *states;
    json_object_foreach((json_t *)steps, kind, states)
    {
        const json_int_t all = steps_in(states, NULL);
        if (begun)
            snprintf(word, sizeof word, "%s %" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT, kind,
                     steps_in(states, "verified"), all);
        else
            snprintf(word, sizeof word, "%s %" JSON_INTEGER_FORMAT, kind, all);
        append(value, ", ", word);
    }
    if (json_is_object(steps)) /* answers to a verb have none */
        ctl_print_line(begun ? "done" : "moves", value[0] == '\0' ? "nothing" : value);
    if (json_is_integer(json_object_get(plan, "waves"))) {
        const json_t *wave = json_object_get(plan, "wave");
        snprintf(word, sizeof word, "%" JSON_INTEGER_FORMAT,
                 json_integer_value(json_object_get(plan, "waves")));
        if (begun && json_is_integer(wave))
            snprintf(word, sizeof word, "%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT,
                     json_integer_value(wave), json_integer_value(json_object_get(plan, "waves")));
        ctl_print_line(begun && json_is_integer(wave) ? "wave" : "waves", word);
    }
}

static double number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

/* Of slots, with what new replicas take, and of all copies that cross zones: each when it
 * says more than the one before. */
static void print_size(const json_t *summary, bool begun)
{
    const double bytes = number(summary, "bytes"), copied = number(summary, "copiedBytes"),
                 cross = number(summary, "crossZoneBytes");
    char value[VALUE], part[64], size[32];
    if (!json_is_object(summary))
        return;
    ctl_bytes_text(value, sizeof value, bytes);
    ctl_bytes_text(size, sizeof size, copied);
    snprintf(part, sizeof part, "%s with new replicas", size);
    if (copied > bytes)
        append(value, ", ", part);
    ctl_bytes_text(size, sizeof size, cross);
    snprintf(part, sizeof part, "%s between zones with every copy", size);
    if (cross > 0)
        append(value, ", ", part);
    ctl_print_line("bytes", value);
    if (number(summary, "durationS") >= 0 &&
        json_is_number(json_object_get(summary, "durationS"))) {
        ctl_duration_text(value, sizeof value, number(summary, "durationS"));
        ctl_print_line(begun ? "expected" : "ETA", value);
    }
    if (number(summary, "openSlots") > 0) {
        snprintf(value, sizeof value, "%.0f", number(summary, "openSlots"));
        ctl_print_line("open slots", value);
    }
}

/* Cents up to $100, four decimals below a cent. */
static const char *dollars(char out[32], double usd)
{
    const double v = fabs(usd);
    snprintf(out, 32, "$%.*f", v >= 100 ? 0 : v >= 0.01 || v <= 0 ? 2 : 4, v > 1e15 ? 1e15 : v);
    return out;
}

static bool has(const json_t *object, const char *name)
{
    return json_is_number(json_object_get(object, name));
}

/* Bytes and operations of the worst shard against its zone's mean. */
static void print_spread(const json_t *summary)
{
    char value[VALUE];
    if (has(summary, "unevenBefore")) {
        snprintf(value, sizeof value, "worst shard %.1f %% off its zone's mean -> %.1f %%",
                 100 * number(summary, "unevenBefore"), 100 * number(summary, "unevenAfter"));
        ctl_print_line("evenness", value);
    }
    if (has(summary, "hotBefore") && has(summary, "hotAfter")) {
        snprintf(value, sizeof value, "hottest shard %.1f %% above its zone's mean -> %.1f %%",
                 100 * number(summary, "hotBefore"), 100 * number(summary, "hotAfter"));
        ctl_print_line("heat", value);
    } else if (json_is_null(json_object_get(summary, "hotBefore"))) {
        ctl_print_line("heat", "unknown: the nodes report no load of slots (Redis 8.2 and "
                               "Valkey 8 do)");
    }
}

/* What the plan does to the traffic between zones, and whose word that is. */
static void print_crossing(const json_t *gain)
{
    char value[VALUE];
    const double before = 100 * number(gain, "crossShareBefore"),
                 after = 100 * number(gain, "crossShareAfter"),
                 slots = number(gain, "rezonedSlots");
    const bool seen = has(gain, "crossShareBefore");
    if (slots <= 0 && seen)
        snprintf(value, sizeof value, "stays %.1f %% of the traffic: no slot changes its zone",
                 before);
    else if (slots <= 0)
        snprintf(value, sizeof value, "stays as it is: no slot changes its zone");
    else if (seen)
        snprintf(value, sizeof value,
                 "%.1f %% of the traffic -> %.1f %% (%.0f slots change zones; traffic as "
                 "placement run %.0f saw it)",
                 before, after, slots, number(gain, "runId"));
    else
        snprintf(value, sizeof value, "unknown, %.0f slots change zones: %s", slots,
                 text(gain, "unknown"));
    ctl_print_line("cross-zone", value);
}

static void print_saving(const json_t *gain, double horizon_days)
{
    char value[VALUE], month[32], over[32];
    const double saved = number(gain, "savedUsdPerMonth");
    if (!has(gain, "savedUsdPerMonth"))
        snprintf(value, sizeof value, "unknown");
    else if (number(gain, "rezonedSlots") <= 0)
        snprintf(value, sizeof value, "%s", dollars(month, 0));
    else
        snprintf(value, sizeof value, "%s a month, %s over %.0f days", dollars(month, saved),
                 dollars(over, number(gain, "savedUsd")), horizon_days);
    ctl_print_line(saved < 0 ? "adds" : "saves", value);
}

static void print_gain(const json_t *summary)
{
    const json_t *verdict = json_object_get(summary, "verdict"),
                 *gain = json_object_get(summary, "gain");
    char value[VALUE], usd[32];
    print_spread(summary);
    if (json_is_object(gain))
        print_crossing(gain);
    if (has(verdict, "moveUsd")) {
        snprintf(value, sizeof value, "%s once, to move", dollars(usd, number(verdict, "moveUsd")));
        ctl_print_line("costs", value);
    }
    if (json_is_object(gain))
        print_saving(gain, number(verdict, "horizonDays"));
    if (!json_is_object(verdict))
        return;
    snprintf(value, sizeof value, "%s: %s",
             json_is_true(json_object_get(verdict, "worthIt")) ? "worth it" : "not worth it",
             text(verdict, "why"));
    ctl_print_line("verdict", value);
}

/* "slot 17", "node n3", "shard n1": what a note is about. */
static void print_note(const json_t *note)
{
    static const char *const about[] = { "slot", "node", "shard" };
    char value[VALUE] = "", word[128];
    for (size_t i = 0; i < COUNT(about); i++) {
        const json_t *v = json_object_get(note, about[i]);
        if (json_is_integer(v))
            snprintf(word, sizeof word, "%s %" JSON_INTEGER_FORMAT, about[i],
                     json_integer_value(v));
        else if (json_is_string(v))
            snprintf(word, sizeof word, "%s %s", about[i], json_string_value(v));
        else
            continue;
        append(value, " ", word);
    }
    printf("  %s%s%s\n", value, value[0] == '\0' ? "" : ": ",
           json_is_string(note) ? json_string_value(note) : text(note, "text"));
}

static void print_notes(const json_t *summary)
{
    const json_t *notes = json_object_get(summary, "notes"), *note;
    size_t i;
    if (json_array_size(notes) > 0)
        printf("notes\n");
    json_array_foreach(notes, i, note)
    {
        if (i == MAX_NOTES)
            break;
        print_note(note);
    }
    const double more = number(summary, "moreNotes") + (double)(json_array_size(notes) - i);
    if (more > 0)
        printf("  and %.0f more: see -o json\n", more);
}

/* "1729 slots, 120000 keys, 1.3 GB in 95 s" */
static void print_result(const json_t *plan)
{
    const json_t *result = json_object_get(plan, "result");
    char value[VALUE], bytes[32], took[32];
    if (!json_is_object(result))
        return;
    ctl_bytes_text(bytes, sizeof bytes, number(result, "bytes"));
    ctl_duration_text(took, sizeof took, number(result, "seconds"));
    snprintf(value, sizeof value, "%.0f slots, %.0f keys, %s in %s", number(result, "slots"),
             number(result, "keys"), bytes, took);
    ctl_print_line("moved", value);
}

void ctl_print_plan(const struct ctl *ctl, const json_t *plan)
{
    const json_t *summary = json_object_get(plan, "summary");
    char value[VALUE];
    if (ctl->json || strcmp(text(plan, "kind"), "fleet") != 0) {
        ctl_print(ctl, plan);
        return;
    }
    snprintf(value, sizeof value, "%" JSON_INTEGER_FORMAT,
             json_integer_value(json_object_get(plan, "id")));
    ctl_print_line("plan", value);
    print_goal(plan);
    ctl_print_line("state", text(plan, "state"));
    ctl_print_line("created by", text(plan, "createdBy"));
    ctl_print_line("approved by", text(plan, "approvedBy"));
    ctl_print_line("error", text(plan, "error"));
    print_steps(plan);
    print_size(summary, json_is_string(json_object_get(plan, "startedAt")));
    print_gain(summary);
    print_notes(summary);
    print_result(plan);
}

void ctl_print_plan_end(const struct ctl *ctl, const json_t *plan)
{
    if (ctl->json) {
        ctl_print(ctl, plan);
        return;
    }
    ctl_print_line("state", text(plan, "state"));
    ctl_print_line("error", text(plan, "error"));
    print_steps(plan);
    print_result(plan);
}
