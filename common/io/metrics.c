#include "prism/io/metrics.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LABELS = 64, LABEL_BYTES = 128 };

static const double bound[] = { 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                0.25,   0.5,   1,      2.5,   5,    10,    30,   60 };
static const char *const bound_text[] = { "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025",
                                          "0.05",   "0.1",   "0.25",   "0.5",   "1",    "2.5",
                                          "5",      "10",    "30",     "60" };
enum { BOUNDS = PR_COUNT(bound) };

struct series {
    char *label;             /* NULL when the row has none */
    double value;            /* of a histogram: the sum */
    uint64_t count, *bucket; /* histograms: [BOUNDS], not cumulative */
};

struct row {
    struct series *series;
    size_t n;
};

struct pr_metrics {
    pthread_mutex_t lock;
    const struct pr_metric_row *rows;
    struct row *row;
    size_t n;
};

static struct series *add_series(struct pr_metrics *m, size_t id, const char *label)
{
    struct row *r = &m->row[id];
    struct series *grown = realloc(r->series, (r->n + 1) * sizeof *grown);
    if (grown == NULL)
        return NULL;
    r->series = grown;
    struct series *s = &grown[r->n];
    *s = (struct series){ 0 };
    if (label != NULL && (s->label = strdup(label)) == NULL)
        return NULL;
    if (m->rows[id].kind == PR_HISTOGRAM &&
        (s->bucket = calloc(BOUNDS, sizeof *s->bucket)) == NULL) {
        free(s->label);
        return NULL;
    }
    r->n++;
    return s;
}

static struct series *find_series(const struct row *r, const char *label)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->series[i].label == NULL || strcmp(r->series[i].label, label) == 0)
            return &r->series[i];
    return NULL;
}

/* The series of a label value, made on first use; NULL without memory. */
static struct series *series_of(struct pr_metrics *m, int id, const char *label)
{
    assert(id >= 0 && (size_t)id < m->n);
    struct row *r = &m->row[id];
    if (m->rows[id].label == NULL)
        return &r->series[0]; /* made by pr_metrics_new */

    char name[LABEL_BYTES];
    (void)snprintf(name, sizeof name, "%s", label == NULL ? "" : label);
    struct series *s = find_series(r, name);
    if (s == NULL && r->n < MAX_LABELS)
        return add_series(m, (size_t)id, name);
    if (s == NULL)
        s = find_series(r, "other");
    return s != NULL ? s : add_series(m, (size_t)id, "other");
}

struct pr_metrics *pr_metrics_new(const struct pr_metric_row *rows, size_t n)
{
    struct pr_metrics *m = calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
    (void)pthread_mutex_init(&m->lock, NULL);
    m->rows = rows;
    m->n = n;
    m->row = calloc(n == 0 ? 1 : n, sizeof *m->row);
    for (size_t i = 0; m->row != NULL && i < n; i++)
        if (rows[i].label == NULL && add_series(m, i, NULL) == NULL) {
            pr_metrics_free(m);
            return NULL;
        }
    if (m->row == NULL) {
        m->n = 0;
        pr_metrics_free(m);
        return NULL;
    }
    return m;
}

void pr_metrics_free(struct pr_metrics *m)
{
    if (m == NULL)
        return;
    for (size_t i = 0; i < m->n; i++) {
        for (size_t k = 0; k < m->row[i].n; k++) {
            free(m->row[i].series[k].label);
            free(m->row[i].series[k].bucket);
        }
        free(m->row[i].series);
    }
    free(m->row);
    (void)pthread_mutex_destroy(&m->lock);
    free(m);
}

void pr_metrics_add(struct pr_metrics *m, int id, const char *label, double v)
{
    pthread_mutex_lock(&m->lock);
    struct series *s = series_of(m, id, label);
    assert(m->rows[id].kind != PR_HISTOGRAM);
    if (s != NULL && (m->rows[id].kind == PR_GAUGE || v > 0)) /* a counter never falls */
        s->value += v;
    pthread_mutex_unlock(&m->lock);
}

void pr_metrics_set(struct pr_metrics *m, int id, const char *label, double v)
{
    pthread_mutex_lock(&m->lock);
    struct series *s = series_of(m, id, label);
    assert(m->rows[id].kind != PR_HISTOGRAM);
    if (s != NULL)
        s->value = v;
    pthread_mutex_unlock(&m->lock);
}

void pr_metrics_observe(struct pr_metrics *m, int id, const char *label, double seconds)
{
    pthread_mutex_lock(&m->lock);
    struct series *s = series_of(m, id, label);
    assert(m->rows[id].kind == PR_HISTOGRAM);
    if (s != NULL && seconds >= 0) { /* drops NaN too */
        size_t i = 0;
        while (i < BOUNDS && seconds > bound[i])
            i++;
        if (i < BOUNDS)
            s->bucket[i]++;
        s->count++;
        s->value += seconds;
    }
    pthread_mutex_unlock(&m->lock);
}

void pr_metrics_drop(struct pr_metrics *m, int id, const char *label)
{
    pthread_mutex_lock(&m->lock);
    struct row *r = &m->row[id];
    for (size_t i = m->rows[id].label == NULL ? 0 : r->n; i-- > 0;) {
        if (label != NULL && strcmp(r->series[i].label, label) != 0)
            continue;
        free(r->series[i].label);
        free(r->series[i].bucket);
        r->series[i] = r->series[--r->n];
    }
    pthread_mutex_unlock(&m->lock);
}

double pr_metrics_get(struct pr_metrics *m, int id, const char *label)
{
    double v = 0;
    pthread_mutex_lock(&m->lock);
    assert(id >= 0 && (size_t)id < m->n);
    const struct series *s = find_series(&m->row[id], label == NULL ? "" : label);
    if (s != NULL)
        v = m->rows[id].kind == PR_HISTOGRAM ? (double)s->count : s->value;
    pthread_mutex_unlock(&m->lock);
    return v;
}

/* Label values escape quotes too, help texts do not. */
static void add_escaped(struct pr_buf *out, const char *s, bool quotes)
{
    for (; *s != '\0'; s++) {
        if (*s == '\n')
            pr_buf_str(out, "\\n");
        else if (*s == '\\' || (quotes && *s == '"'))
            pr_buf_printf(out, "\\%c", *s);
        else
            pr_buf_add(out, s, 1);
    }
}

static void add_value(struct pr_buf *out, double v)
{
    if (isnan(v))
        pr_buf_str(out, " NaN\n");
    else if (isinf(v))
        pr_buf_str(out, v > 0 ? " +Inf\n" : " -Inf\n");
    else if (v == floor(v) && fabs(v) <= 9007199254740992.0)
        pr_buf_printf(out, " %.0f\n", v);
    else
        pr_buf_printf(out, " %.15g\n", v);
}

/* name_suffix{label="value",le="bound"} without the value. */
static void add_name(struct pr_buf *out, const struct pr_metric_row *row, const struct series *s,
                     const char *suffix, const char *le)
{
    pr_buf_printf(out, "%s%s", row->name, suffix);
    if (s->label == NULL && le == NULL)
        return;
    pr_buf_str(out, "{");
    if (s->label != NULL) {
        pr_buf_printf(out, "%s=\"", row->label);
        add_escaped(out, s->label, true);
        pr_buf_str(out, le == NULL ? "\"" : "\",");
    }
    if (le != NULL)
        pr_buf_printf(out, "le=\"%s\"", le);
    pr_buf_str(out, "}");
}

static void add_histogram(struct pr_buf *out, const struct pr_metric_row *row,
                          const struct series *s)
{
    uint64_t below = 0;
    for (size_t i = 0; i < BOUNDS; i++) {
        below += s->bucket[i];
        add_name(out, row, s, "_bucket", bound_text[i]);
        add_value(out, (double)below);
    }
    add_name(out, row, s, "_bucket", "+Inf");
    add_value(out, (double)s->count);
    add_name(out, row, s, "_sum", NULL);
    add_value(out, s->value);
    add_name(out, row, s, "_count", NULL);
    add_value(out, (double)s->count);
}

void pr_metrics_text(struct pr_metrics *m, struct pr_buf *out)
{
    static const char *const kind[] = { "counter", "gauge", "histogram" };
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->n; i++) {
        const struct pr_metric_row *row = &m->rows[i];
        pr_buf_printf(out, "# HELP %s ", row->name);
        add_escaped(out, row->help, false);
        pr_buf_printf(out, "\n# TYPE %s %s\n", row->name, kind[row->kind]);
        for (size_t k = 0; k < m->row[i].n; k++) {
            const struct series *s = &m->row[i].series[k];
            if (row->kind == PR_HISTOGRAM) {
                add_histogram(out, row, s);
                continue;
            }
            add_name(out, row, s, "", NULL);
            add_value(out, s->value);
        }
    }
    pthread_mutex_unlock(&m->lock);
}
