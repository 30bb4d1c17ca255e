/* prism-autoscale cases FILE.json: runs conformance cases and says what differs. */
#include "cli/cases.h"
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

enum { SCHEMA = 1, FAILED = 1, USAGE = 2 };

static autoscale_case_fn *find(const struct autoscale_case_kind *kind, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(kind[i].name, name) == 0)
            return kind[i].fn;
    return NULL;
}

/* The reference's example run contradicts its own rules, so it is on record and no more. */
static bool is_informative(const json_t *one, const char *kind)
{
    return strcmp(kind, "memo_appendix_e") == 0 ||
           json_is_true(json_object_get(one, "informative"));
}

/* Every line of text with what it is about before it. */
static void report_lines(struct pr_buf *report, const char *id, const char *kind,
                         const char *prefix, const char *text)
{
    while (text != NULL && *text != '\0') {
        const size_t n = strcspn(text, "\n");
        pr_buf_printf(report, "%s (%s): %s%.*s\n", id, kind, prefix, (int)n, text);
        text += text[n] == '\n' ? n + 1 : n;
    }
}

static void judge(const json_t *one, const char *id, struct pr_buf *report,
                  struct autoscale_case_counts *counts)
{
    const char *kind = json_string_value(json_object_get(one, "kind"));
    if (kind == NULL) {
        counts->unknown++;
        pr_buf_printf(report, "%s: no kind\n", id);
        return;
    }
    autoscale_case_fn *fn = find(autoscale_aws_cases, autoscale_aws_cases_count, kind);
    if (fn == NULL)
        fn = find(autoscale_hpa_cases, autoscale_hpa_cases_count, kind);
    if (fn == NULL) {
        counts->unknown++;
        pr_buf_printf(report, "%s (%s): unknown kind\n", id, kind);
        return;
    }

    struct pr_buf difference;
    pr_buf_init(&difference, 0);
    fn(one, &difference);
    if (difference.failed)
        pr_buf_printf(report, "%s (%s): out of memory\n", id, kind);
    if (is_informative(one, kind)) {
        counts->informative++;
        report_lines(report, id, kind, "informative, not judged: ",
                     difference.len > 0 ? difference.data : "as computed");
    } else if (difference.len > 0 || difference.failed) {
        counts->failed++;
        report_lines(report, id, kind, "", difference.data);
    } else {
        counts->passed++;
    }
    pr_buf_done(&difference);
}

enum pr_code autoscale_cases_judge(const json_t *file, struct pr_buf *report,
                                   struct autoscale_case_counts *counts, struct pr_err *err)
{
    *counts = (struct autoscale_case_counts){ 0 };
    if (!json_is_object(file))
        return pr_fail(err, PR_EDATA, "want an object {\"schema\":%d,\"cases\":[...]}", SCHEMA);
    const json_t *schema = json_object_get(file, "schema"), *cases = json_object_get(file, "cases");
    if (!json_is_integer(schema))
        return pr_fail(err, PR_EDATA, "\"schema\" is missing or no whole number: want %d", SCHEMA);
    if (json_integer_value(schema) != SCHEMA)
        return pr_fail(err, PR_EDATA, "\"schema\" is %lld: want %d",
                       (long long)json_integer_value(schema), SCHEMA);
    if (!json_is_array(cases))
        return pr_fail(err, PR_EDATA, "\"cases\" is missing or no array");

    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *one = json_array_get(cases, i);
        if (!json_is_object(one))
            return pr_fail(err, PR_EDATA, "\"cases\": entry %zu is no object", i + 1);
        const char *id = json_string_value(json_object_get(one, "id"));
        char nameless[32];
        snprintf(nameless, sizeof nameless, "case %zu", i + 1);
        counts->cases++;
        judge(one, id == NULL || *id == '\0' ? nameless : id, report, counts);
    }
    return PR_OK;
}

static const char usage[] =
    "usage: prism-autoscale cases FILE.json\n"
    "Runs conformance cases, {\"schema\": 1, \"cases\": [...]} (-: standard input), prints every\n"
    "difference and one line of counts.\n"
    "Exit status: 0 all pass; 1 one differs, or is of an unknown kind; 2 wrong arguments.\n";

int autoscale_cli_cases(int argc, char **argv)
{
    if (argc == 3 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)) {
        fputs(usage, stdout);
        return 0;
    }
    if (argc != 3 || argv[2][0] == '\0' || (argv[2][0] == '-' && argv[2][1] != '\0')) {
        fputs(usage, stderr);
        return USAGE;
    }
    const char *path = argv[2];
    json_error_t where;
    json_t *file = strcmp(path, "-") == 0 ? json_loadf(stdin, JSON_REJECT_DUPLICATES, &where)
                                          : json_load_file(path, JSON_REJECT_DUPLICATES, &where);
    if (file == NULL) {
        if (where.line > 0)
            fprintf(stderr, "%s: line %d, column %d: %s\n", path, where.line, where.column,
                    where.text);
        else
            fprintf(stderr, "%s: %s\n", path, where.text);
        return USAGE;
    }

    struct autoscale_case_counts n;
    struct pr_err err = { 0 };
    struct pr_buf report;
    pr_buf_init(&report, 0);
    const enum pr_code rc = autoscale_cases_judge(file, &report, &n, &err);
    json_decref(file);
    if (report.data != NULL)
        fputs(report.data, stdout);
    const bool complete = !report.failed;
    pr_buf_done(&report);
    if (rc != PR_OK) {
        fprintf(stderr, "%s: %s\n", path, err.text);
        return USAGE;
    }
    printf("cases %zu, passed %zu, failed %zu, informative %zu, unknown %zu\n", n.cases, n.passed,
           n.failed, n.informative, n.unknown);
    if (!complete || fflush(stdout) != 0) {
        fprintf(stderr, "%s: the report could not be written in full\n", path);
        return FAILED;
    }
    return n.failed + n.unknown == 0 ? 0 : FAILED;
}
