/* A trace of a CSV file, minute by minute. */
#include "cli/backtest.h"

#include "cli/backtest_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 256, DAY = 24 * 60, DAYS = 400 };

struct row {
    int64_t minute;
    double value;
};
struct table {
    const char *path;
    const char *column; /* of the value; "" the first that is not minute */
    size_t line;
    int minute_at, value_at;
    char name[64];   /* of the value's column */
    struct row *row; /* owned */
    size_t rows, room;
};
struct cell {
    const char *text;
    size_t bytes;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Without blanks around it, and without quotes. */
static struct cell trimmed(const char *from, const char *to)
{
    struct cell c = { from, (size_t)(to - from) };
    while (c.bytes > 0 && is_blank(c.text[0])) {
        c.text++;
        c.bytes--;
    }
    while (c.bytes > 0 && is_blank(c.text[c.bytes - 1]))
        c.bytes--;
    if (c.bytes >= 2 && c.text[0] == '"' && c.text[c.bytes - 1] == '"') {
        c.text++;
        c.bytes -= 2;
    }
    return c;
}

static int split(const char *line, const char *end, struct cell cell[COLUMNS])
{
    int n = 0;
    while (n < COLUMNS) {
        const char *comma = memchr(line, ',', (size_t)(end - line));
        cell[n++] = trimmed(line, comma != NULL ? comma : end);
        if (comma == NULL)
            return n;
        line = comma + 1;
    }
    return n;
}

static bool is(const struct cell *c, const char *name)
{
    return c->bytes == strlen(name) && memcmp(c->text, name, c->bytes) == 0;
}

static enum pr_code bad(const struct table *t, const char *column, const struct cell *c,
                        const char *what, struct pr_err *err)
{
    const char *path = strlen(t->path) > 100 ? t->path + strlen(t->path) - 100 : t->path;
    const int shown = c->bytes < 24 ? (int)c->bytes : 24;
    return pr_fail(err, PR_EDATA, "%s: line %zu, column \"%.40s\": \"%.*s\" %s", path, t->line,
                   column, shown, c->text, what);
}

static enum pr_code header(struct table *t, const struct cell *cell, int n, struct pr_err *err)
{
    t->minute_at = t->value_at = -1;
    for (int i = n - 1; i >= 0; i--) { /* backwards: the first of that name stays */
        if (is(&cell[i], "minute"))
            t->minute_at = i;
        else if (t->column[0] == '\0' || is(&cell[i], t->column))
            t->value_at = i;
    }
    if (t->minute_at < 0)
        return pr_fail(err, PR_EDATA,
                       "%.120s: line %zu: no column \"minute\": want a header, and minutes as "
                       "whole numbers; it begins with \"%.*s\"",
                       t->path, t->line, cell[0].bytes < 24 ? (int)cell[0].bytes : 24,
                       cell[0].text);
    if (t->value_at < 0 && t->column[0] != '\0')
        return pr_fail(err, PR_EDATA, "%.120s: line %zu: no column \"%.40s\"", t->path, t->line,
                       t->column);
    if (t->value_at < 0)
        return pr_fail(err, PR_EDATA, "%.120s: line %zu: no column beside \"minute\"", t->path,
                       t->line);
    const struct cell *c = &cell[t->value_at];
    (void)snprintf(t->name, sizeof t->name, "%.*s", c->bytes < 60 ? (int)c->bytes : 60, c->text);
    return PR_OK;
}

static bool number(const struct cell *c, double *out)
{
    char text[64];
    if (c->bytes == 0 || c->bytes >= sizeof text)
        return false;
    memcpy(text, c->text, c->bytes);
    text[c->bytes] = '\0';
    char *end = NULL;
    *out = strtod(text, &end);
    /* strtod also knows nan, inf and hexadecimal ones */
    return strspn(text, "+-.0123456789eE") == c->bytes && *end == '\0' && isfinite(*out);
}

static enum pr_code data(struct table *t, const struct cell *cell, int n, struct pr_err *err)
{
    const int most = t->minute_at > t->value_at ? t->minute_at : t->value_at;
    if (n <= most)
        return pr_fail(err, PR_EDATA, "%.120s: line %zu: %d columns, and \"%.40s\" is number %d",
                       t->path, t->line, n, most == t->value_at ? t->name : "minute", most + 1);
    const struct cell *at = &cell[t->minute_at], *value = &cell[t->value_at];
    double minute = 0, v = 0;
    if (!number(at, &minute))
        return bad(t, "minute", at, "is not a number", err);
    if (minute != floor(minute) || fabs(minute) > 1e12)
        return bad(t, "minute", at, "is not a whole minute", err);
    if (value->bytes == 0)
        return bad(t, t->name, value, "is empty: leave out rows that nobody measured", err);
    if (!number(value, &v))
        return bad(t, t->name, value, "is not a number", err);
    if (v < 0)
        return bad(t, t->name, value, "is negative", err);
    if (t->rows > 0) {
        const int64_t last = t->row[t->rows - 1].minute;
        if ((int64_t)minute == last)
            return bad(t, "minute", at, "is there twice", err);
        if ((int64_t)minute < last)
            return bad(t, "minute", at, "is before the row above it", err);
    }
    if (t->rows == t->room) {
        const size_t room = t->room == 0 ? 4096 : 2 * t->room;
        struct row *row = realloc(t->row, room * sizeof *row);
        if (row == NULL)
            return pr_fail(err, PR_ENOMEM, "%.120s: %zu rows", t->path, room);
        t->row = row;
        t->room = room;
    }
    t->row[t->rows++] = (struct row){ (int64_t)minute, v };
    return PR_OK;
}

static enum pr_code read_rows(struct table *t, const char *text, size_t bytes, struct pr_err *err)
{
    const char *p = text, *end = text + bytes;
    bool headed = false;
    if (bytes >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
        p += 3;
    while (p < end) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        const char *to = stop != NULL ? stop : end;
        struct cell cell[COLUMNS];
        t->line++;
        const struct cell whole = trimmed(p, to);
        if (whole.bytes > 0) {
            const int n = split(p, to, cell);
            const enum pr_code rc = headed ? data(t, cell, n, err) : header(t, cell, n, err);
            if (rc != PR_OK)
                return rc;
            headed = true;
        }
        p = stop != NULL ? stop + 1 : end;
    }
    return t->rows >= 2
               ? PR_OK
               : pr_fail(err, PR_EDATA, "%.120s: %zu rows, want 2 or more", t->path, t->rows);
}

static int by_size(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Half of the steps from row to row are as long, or shorter. */
static int64_t usual_step(const struct table *t, struct pr_err *err)
{
    int64_t *step = calloc(t->rows, sizeof *step);
    if (step == NULL) {
        (void)pr_fail(err, PR_ENOMEM, "%.120s: %zu rows", t->path, t->rows);
        return -1;
    }
    for (size_t i = 1; i < t->rows; i++)
        step[i - 1] = t->row[i].minute - t->row[i - 1].minute;
    qsort(step, t->rows - 1, sizeof *step, by_size);
    const int64_t usual = step[(t->rows - 2) / 2];
    free(step);
    return usual;
}

/* Between two rows, where others are so many minutes apart. */
static bool is_gap(int64_t minutes, int64_t step)
{
    return minutes * 2 > step * 3;
}

/* Whoever means seconds by minutes, or lost most of a trace, would wait for long and then
 * read a report of nothing. */
static enum pr_code check_span(const struct table *t, int64_t step, struct pr_err *err)
{
    const int64_t first = t->row[0].minute, last = t->row[t->rows - 1].minute,
                  minutes = last - first + 1;
    const double days = (double)minutes / DAY;
    int64_t missing = 0;
    if (minutes > (int64_t)DAYS * DAY)
        return pr_fail(err, PR_EDATA,
                       "%.120s: minutes %lld to %lld are %.1f days, at most %d are allowed",
                       t->path, (long long)first, (long long)last, days, DAYS);
    for (size_t i = 1; i < t->rows; i++)
        if (is_gap(t->row[i].minute - t->row[i - 1].minute, step))
            missing += t->row[i].minute - t->row[i - 1].minute - 1;
    if (missing * 2 > minutes)
        return pr_fail(err, PR_EDATA,
                       "%.120s: minutes %lld to %lld are %.1f days, and %.1f of them are missing "
                       "(gaps in rows that are %lld min apart)",
                       t->path, (long long)first, (long long)last, days, (double)missing / DAY,
                       (long long)step);
    return PR_OK;
}

static enum pr_code spread(const struct table *t, struct backtest_trace *out, struct pr_err *err)
{
    const int64_t step = usual_step(t, err), first = t->row[0].minute;
    if (step < 0)
        return PR_ENOMEM;
    const enum pr_code rc = check_span(t, step, err);
    if (rc != PR_OK)
        return rc;
    out->minutes = (size_t)(t->row[t->rows - 1].minute - first) + 1;
    out->load = calloc(out->minutes, sizeof *out->load);
    if (out->load == NULL)
        return pr_fail(err, PR_ENOMEM, "%.120s: %zu minutes", t->path, out->minutes);
    out->interval = (int)step;
    out->first = first;
    memcpy(out->column, t->name, sizeof out->column);
    for (size_t i = 0; i < t->rows; i++) {
        const size_t at = (size_t)(t->row[i].minute - first);
        out->load[at] = t->row[i].value;
        if (i == 0)
            continue;
        const size_t before = (size_t)(t->row[i - 1].minute - first), length = at - before;
        const bool gap = is_gap((int64_t)length, step);
        for (size_t m = before + 1; m < at; m++)
            out->load[m] = gap ? NAN
                               : out->load[before] + (out->load[at] - out->load[before]) *
                                                         (double)(m - before) / (double)length;
        out->missing += gap ? length - 1 : 0;
    }
    return PR_OK;
}

enum pr_code backtest_read_text(const char *path, const char *text, size_t bytes,
                                const char *column, struct backtest_trace *out, struct pr_err *err)
{
    struct table t = { .path = path, .column = column == NULL ? "" : column };
    *out = (struct backtest_trace){ 0 };
    enum pr_code rc = read_rows(&t, text, bytes, err);
    if (rc == PR_OK)
        rc = spread(&t, out, err);
    free(t.row);
    return rc;
}

enum pr_code backtest_read(const char *path, const char *column, struct backtest_trace *out,
                           struct pr_err *err)
{
    struct pr_buf text;
    *out = (struct backtest_trace){ 0 };
    enum pr_code rc = backtest_file(path, &text, err);
    if (rc == PR_OK)
        rc = backtest_read_text(path, text.data == NULL ? "" : text.data, text.len, column, out,
                                err);
    pr_buf_done(&text);
    return rc;
}

enum pr_code backtest_smooth(struct backtest_trace *t, int minutes, struct pr_err *err)
{
    if (minutes <= 1)
        return PR_OK;
    double *mean = calloc(t->minutes, sizeof *mean);
    if (mean == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu minutes", t->minutes);
    for (size_t i = 0; i < t->minutes; i++) {
        double sum = 0;
        int n = 0;
        for (size_t back = 0; back < (size_t)minutes && back <= i; back++)
            if (!isnan(t->load[i - back])) {
                sum += t->load[i - back];
                n++;
            }
        mean[i] = isnan(t->load[i]) ? NAN : sum / n;
    }
    free(t->load);
    t->load = mean;
    return PR_OK;
}

void backtest_trace_done(struct backtest_trace *t)
{
    free(t->load);
    t->load = NULL;
}
