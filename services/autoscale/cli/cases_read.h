/* Reading a conformance case of AWS and the reference: fields by any of a few names, and a
 * difference for every field that nobody asked for, so that none is passed over. */
#ifndef AUTOSCALE_CLI_CASES_READ_H
#define AUTOSCALE_CLI_CASES_READ_H

#include "core/vote.h"
#include "prism/buf.h"
#include "prism/err.h"

#include <jansson.h>
#include <stdbool.h>

enum { CASE_FIELDS = 64 };
struct case_fields {
    const json_t *of;
    const char *at; /* "" or where it is: "policy", "zones" */
    struct pr_buf *diff;
    const char *asked[CASE_FIELDS];
    size_t n;
};

/* Fields that every case has and no computation needs count as asked for. */
struct case_fields case_open(const json_t *one, struct pr_buf *diff);
/* An object inside it. */
struct case_fields case_inside(const json_t *of, const char *at, struct pr_buf *diff);
/* A difference for every field that was not asked for. */
void case_leftover(struct case_fields *f);

/* names: "metric|cpu_pct", one of which may be there. NULL: none is. */
const json_t *case_any(struct case_fields *f, const char *names);
/* As above; a difference when there is none. */
const json_t *case_need(struct case_fields *f, const char *names);
/* The value; a difference and 0 when it is missing or not one. */
double case_number(struct case_fields *f, const char *names);
int case_int(struct case_fields *f, const char *names);
const char *case_text(struct case_fields *f, const char *names); /* "" */
/* The same, or otherwise when it is missing or null. */
double case_number_or(struct case_fields *f, const char *names, double otherwise);
int case_int_or(struct case_fields *f, const char *names, int otherwise);
bool case_bool_or(struct case_fields *f, const char *names, bool otherwise);
const char *case_text_or(struct case_fields *f, const char *names, const char *otherwise);

/* Whether text is one of "a|b|c", whatever its case; spaces, - and _ are one. */
bool case_is(const char *text, const char *names);
/* Whether text contains one of "a|b|c", whatever its case; spaces, - and _ are one. */
bool case_mentions(const char *text, const char *names);
/* out, in, hold or unknown by the words that there are for them; false: none of them. */
bool case_move(const char *word, enum autoscale_move *out);

void case_differs(struct case_fields *f, const char *fmt, ...) PR_PRINTF(2, 3);
/* One value against what was computed: equal to within 1e-9. */
void case_same(struct case_fields *f, const char *what, const json_t *want, double got);
/* "expect", or the field of it that names says when it is an object: that and no other. */
void case_expect(struct case_fields *f, const char *names, double got);
/* "expect" is a word for the move. */
void case_expect_move(struct case_fields *f, enum autoscale_move got);

/* A number for an int that is out of range or broken is a difference. */
int case_whole(struct case_fields *f, const char *what, double v);

#endif
