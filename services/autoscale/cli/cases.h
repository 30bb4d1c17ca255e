/* Conformance cases: one function for each kind, which computes and says what differs. */
#ifndef AUTOSCALE_CLI_CASES_H
#define AUTOSCALE_CLI_CASES_H

#include "prism/buf.h"
#include "prism/err.h"

#include <jansson.h>
#include <stdbool.h>

/* Appends a line to *difference for everything that differs from the case's "expect", or
 * that the case lacks; nothing: it passes. */
typedef void autoscale_case_fn(const json_t *one, struct pr_buf *difference);

struct autoscale_case_kind {
    const char *name;
    autoscale_case_fn *fn;
};
extern const struct autoscale_case_kind autoscale_hpa_cases[];
extern const size_t autoscale_hpa_cases_count;
extern const struct autoscale_case_kind autoscale_aws_cases[];
extern const size_t autoscale_aws_cases_count;

struct autoscale_case_counts {
    size_t cases, passed, failed;
    size_t informative; /* recorded as given: neither passed nor failed */
    size_t unknown;     /* of a kind that nobody computes */
};
/* Judges a file's {"schema":1,"cases":[...]}; report gets a line for every difference, with the
 * case's id. PR_EDATA: it is no such file, and what is wrong where. */
PR_CHECKED enum pr_code autoscale_cases_judge(const json_t *file, struct pr_buf *report,
                                              struct autoscale_case_counts *counts,
                                              struct pr_err *err);

#endif
