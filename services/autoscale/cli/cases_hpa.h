/* Reading of HPA conformance cases. Whatever a case holds that is not understood becomes a
 * difference that names it: such a case never passes. */
#ifndef AUTOSCALE_CLI_CASES_HPA_H
#define AUTOSCALE_CLI_CASES_HPA_H

#include "cli/cases.h"
#include "core/hpa.h"

/* known: the fields' names, each followed by a space; what every case has is known too. */
void hpa_known(const json_t *o, const char *where, const char *known, struct pr_buf *diff);
/* A difference when it is missing or no number of the kind. */
int64_t hpa_int(const json_t *o, const char *name, struct pr_buf *diff);
int32_t hpa_int32(const json_t *o, const char *name, struct pr_buf *diff);
/* Missing or null: otherwise. */
int64_t hpa_int_or(const json_t *o, const char *name, int64_t otherwise, struct pr_buf *diff);
double hpa_real_or(const json_t *o, const char *name, double otherwise, struct pr_buf *diff);
bool hpa_bool_or(const json_t *o, const char *name, bool otherwise, struct pr_buf *diff);
/* The same of a value: of a list's entry, say. */
bool hpa_flag(const json_t *v, const char *name, bool otherwise, struct pr_buf *diff);
/* Seconds ago as ms before 0, which is now. */
int64_t hpa_ago_or(const json_t *o, const char *name, int64_t otherwise, struct pr_buf *diff);
/* The array; NULL when missing or null, and a difference when it is something else. */
const json_t *hpa_array(const json_t *o, const char *name, struct pr_buf *diff);
/* That int64 of a JSON value; false: it is none. */
bool hpa_number(const json_t *v, int64_t *out);

struct autoscale_hpa_tolerance hpa_tolerance(const json_t *one, struct pr_buf *diff);
struct autoscale_hpa_rules hpa_rules(const json_t *rules, const char *where,
                                     struct autoscale_hpa_rules otherwise, struct pr_buf *diff);
/* [{change or value, age_s}] into a log. */
void hpa_entries(const json_t *array, const char *where, struct autoscale_hpa_log *log,
                 struct pr_buf *diff);

/* Pods and their readings. */
struct hpa_pods {
    struct autoscale_hpa_pod *pod; /* [n], owned */
    size_t n, readings;
    int64_t strangers, strangers_usage;
};
enum autoscale_hpa_phase hpa_phase(const json_t *phase, struct pr_buf *diff);
/* container: its number from 1; 0 all. Number or [number per container]; null: no request. */
void hpa_request(const json_t *request, int container, struct autoscale_hpa_pod *p,
                 struct pr_buf *diff);
bool hpa_usage(const json_t *usage, int container, int64_t *out, struct pr_buf *diff);
int hpa_container(const json_t *name, struct pr_buf *diff);
/* [{name, request_m, ready, age_s, phase, deleting}] with [{pod, usage_m}]. exact: null is
 * "not known" (no start time, no condition), otherwise "old" and "ready". */
void hpa_pods_read(const json_t *one, bool exact, struct hpa_pods *out, struct pr_buf *diff);
void hpa_pods_done(struct hpa_pods *p);

/* What is compared. */
const json_t *hpa_expect(const json_t *one, const char *known, struct pr_buf *diff);
void hpa_want_int(const json_t *expect, const char *name, int64_t got, struct pr_buf *diff);
void hpa_want_string(const json_t *expect, const char *name, const char *got, struct pr_buf *diff);
/* rc's words against expect.error. True when there are results to compare. */
bool hpa_want_rc(const json_t *expect, enum pr_code rc, const struct pr_err *err,
                 struct pr_buf *diff);

autoscale_case_fn hpa_case_resource, hpa_case_pods_metric, hpa_case_value_metric,
    hpa_case_per_pod_metric, hpa_case_per_pod_usage, hpa_case_group_pods;
autoscale_case_fn hpa_case_reconcile;

#endif
