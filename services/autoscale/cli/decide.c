/* prism-autoscale decide: one decision, without a server. */
#include "cli/cli.h"

#include "json/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct args {
    const char *policy, *file; /* NULL: the settings' own; standard input */
    bool whole, replay, help;
};

static const char usage[] =
    "usage: prism-autoscale decide [--policy P] [--whole] [FILE]\n"
    "       prism-autoscale decide --replay [FILE]\n"
    "Reads what is known of a fleet as JSON from FILE (- or none: standard input) and prints what\n"
    "is decided as JSON: size, zones, who leaves, every policy's vote, cost, and why.\n"
    "  --policy P  rules, step, target, hpa, adaptive or queue decides, whatever the settings say\n"
    "  --whole     prints {\"input\", \"decision\", \"memory\"}: complete, with every default, "
    "and\n"
    "              with what the policies remember, to be the next input's memory\n"
    "  --replay    reads what --whole has printed, decides again, and prints what differs\n"
    "The least input: {\"view\": {\"desired\": 48, \"samples\": [{\"at_ms\": 60000, \"cpu_pct\": "
    "70,\n"
    "\"serving\": 48}]}}; all of it: docs/reference/autoscale-json.md.\n"
    "Exit status: 0; 1 it failed, or differs (each difference is a line); 2 wrong arguments.\n";

static enum pr_code parse(int argc, char **argv, struct args *a, struct pr_err *err)
{
    *a = (struct args){ 0 };
    for (int i = 2; i < argc; i++) {
        const char *arg = argv[i];
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            a->help = true;
        } else if (strcmp(arg, "--whole") == 0) {
            a->whole = true;
        } else if (strcmp(arg, "--replay") == 0) {
            a->replay = true;
        } else if (strncmp(arg, "--policy=", 9) == 0) {
            a->policy = arg + 9;
        } else if (strcmp(arg, "--policy") == 0) {
            if (i + 1 == argc)
                return pr_fail(err, PR_EINVAL, "--policy needs a name");
            a->policy = argv[++i];
        } else if (arg[0] == '-' && arg[1] != '\0') {
            return pr_fail(err, PR_EINVAL, "unknown option %.60s", arg);
        } else if (a->file != NULL) {
            return pr_fail(err, PR_EINVAL, "unexpected argument %.60s", arg);
        } else {
            a->file = arg;
        }
    }
    enum autoscale_kind kind;
    if (a->replay && (a->whole || a->policy != NULL))
        return pr_fail(err, PR_EINVAL,
                       "--replay decides as it was decided: no other option goes "
                       "with it");
    return a->policy == NULL ? PR_OK : autoscale_kind_parse(a->policy, &kind, err);
}

static bool is_standard(const char *name)
{
    return name == NULL || strcmp(name, "-") == 0;
}

static enum pr_code read_all(const char *name, struct pr_buf *to, struct pr_err *err)
{
    const bool standard = is_standard(name);
    FILE *f = standard ? stdin : fopen(name, "rb");
    if (f == NULL)
        return pr_fail(err, PR_ENOTFOUND, "%.160s: %s", name, strerror(errno));
    char block[1 << 16];
    size_t n;
    while ((n = fread(block, 1, sizeof block, f)) > 0)
        pr_buf_add(to, block, n);
    const bool bad = ferror(f) != 0;
    if (!standard)
        (void)fclose(f);
    if (bad)
        return pr_fail(err, PR_EUNAVAIL, "%.160s cannot be read",
                       standard ? "standard input" : name);
    return to->failed ? pr_fail(err, PR_EFULL, "the input is too large") : PR_OK;
}

static enum pr_code read_json(const char *name, json_t **out, struct pr_err *err)
{
    struct pr_buf text;
    pr_buf_init(&text, (size_t)1 << 30);
    enum pr_code rc = read_all(name, &text, err);
    if (rc == PR_OK) {
        rc = autoscale_json_parse(text.len == 0 ? "" : text.data, text.len, out, err);
        if (rc != PR_OK)
            rc = pr_wrap(err, rc, "%.160s", is_standard(name) ? "standard input" : name);
    }
    pr_buf_done(&text);
    return rc;
}

static enum pr_code print(json_t *o, struct pr_err *err)
{
    char *text = autoscale_json_text(o, true);
    if (text == NULL)
        return pr_fail(err, PR_ENOMEM, "the decision as text");
    const bool ok = puts(text) >= 0 && fflush(stdout) == 0;
    free(text);
    return ok ? PR_OK : pr_fail(err, PR_EUNAVAIL, "standard output: %s", strerror(errno));
}

static enum pr_code decide(const struct args *a, const json_t *o, struct autoscale_json_input *in,
                           struct autoscale_decision *d, struct pr_err *err)
{
    enum pr_code rc = autoscale_json_input_read(o, a->policy, in, err);
    json_t *before = NULL;
    if (rc == PR_OK && a->whole) { /* memory changes as it is decided */
        before = autoscale_json_input_write(&in->in);
        if (before == NULL)
            rc = pr_fail(err, PR_ENOMEM, "the input");
    }
    if (rc == PR_OK)
        rc = autoscale_decide(&in->in, in->in.memory, d, err);
    if (rc == PR_OK) {
        json_t *out = autoscale_json_decision_write(&in->in, d);
        if (a->whole)
            out = json_pack("{s:O, s:o, s:o}", "input", before, "decision", out, "memory",
                            autoscale_json_memory_write(&in->in.settings, in->in.memory));
        rc = print(out, err);
    }
    json_decref(before);
    return rc;
}

static enum pr_code replay(const json_t *o, bool *same, struct pr_err *err)
{
    const json_t *input = json_object_get(o, "input"), *decision = json_object_get(o, "decision");
    if (input == NULL || decision == NULL)
        return pr_fail(err, PR_EINVAL, "want {\"input\": ..., \"decision\": ...}");
    struct pr_buf difference;
    pr_buf_init(&difference, 0);
    const enum pr_code rc = autoscale_json_replay(input, decision, json_object_get(o, "memory"),
                                                  same, &difference, err);
    if (rc == PR_OK)
        (void)fputs(*same ? "the same\n" : difference.data, stdout);
    pr_buf_done(&difference);
    return rc;
}

static enum pr_code run(const struct args *a, bool *same, struct pr_err *err)
{
    struct autoscale_json_input *in = calloc(1, sizeof *in);
    struct autoscale_decision *d = calloc(1, sizeof *d);
    json_t *o = NULL;
    enum pr_code rc = PR_OK;
    if (in == NULL || d == NULL)
        rc = pr_fail(err, PR_ENOMEM, "an input");
    else
        rc = read_json(a->file, &o, err);
    if (rc == PR_OK)
        rc = a->replay ? replay(o, same, err) : decide(a, o, in, d, err);
    if (in != NULL)
        autoscale_json_input_done(in);
    json_decref(o);
    free(d);
    free(in);
    return rc;
}

int autoscale_cli_decide(int argc, char **argv)
{
    struct args a;
    struct pr_err err = { .text = "" };
    bool same = true;
    if (parse(argc, argv, &a, &err) != PR_OK) {
        (void)fprintf(stderr, "prism-autoscale decide: %s\n%s", err.text, usage);
        return 2;
    }
    if (a.help) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (run(&a, &same, &err) != PR_OK) {
        (void)fprintf(stderr, "prism-autoscale decide: %s\n", err.text);
        return 1;
    }
    return same ? 0 : 1;
}
