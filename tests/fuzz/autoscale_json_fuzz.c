/* The input of a decision, whatever bytes it is: it is refused with a reason, or it is read,
 * decided and written so that it reads and is decided the same again. */
#include "fuzz.h"

#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct autoscale_json_input in;
static struct autoscale_decision decision;

static void check_reason(enum pr_code rc, const struct pr_err *err)
{
    FUZZ_CHECK(rc == PR_EINVAL && err->text[0] != '\0');
}

static void check_again(const char *input, json_t *made)
{
    struct pr_err err = { .text = "" };
    struct pr_buf difference;
    bool same = false;
    json_t *o;
    pr_buf_init(&difference, 0);
    FUZZ_CHECK(autoscale_json_parse(input, strlen(input), &o, &err) == PR_OK);
    FUZZ_CHECK(autoscale_json_replay(o, made, NULL, &same, &difference, &err) == PR_OK);
    if (!same)
        (void)fputs(difference.data, stderr);
    FUZZ_CHECK(same);
    pr_buf_done(&difference);
    json_decref(o);
}

static void decide(void)
{
    struct pr_err err = { .text = "" };
    char *input = autoscale_json_text(autoscale_json_input_write(&in.in), false);
    FUZZ_CHECK(input != NULL);
    const int from = in.in.view.desired;
    const enum pr_code rc = autoscale_decide(&in.in, in.in.memory, &decision, &err);
    if (rc != PR_OK) {
        check_reason(rc, &err);
    } else {
        FUZZ_CHECK(decision.from == from && decision.why[0] != '\0');
        FUZZ_CHECK(decision.to <= from || decision.to <= in.in.fleet.max);
        FUZZ_CHECK(decision.to >= from || decision.to >= in.in.fleet.min);
        json_t *made = autoscale_json_decision_write(&in.in, &decision);
        FUZZ_CHECK(made != NULL);
        check_again(input, made);
        json_decref(made);
    }
    free(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct pr_err err = { .text = "" };
    json_t *o;
    enum pr_code rc = autoscale_json_parse((const char *)data, n, &o, &err);
    if (rc != PR_OK) {
        check_reason(rc, &err);
        return 0;
    }
    rc = autoscale_json_input_read(o, NULL, &in, &err);
    json_decref(o);
    if (rc == PR_OK)
        decide();
    else
        check_reason(rc, &err);
    autoscale_json_input_done(&in);
    return 0;
}
