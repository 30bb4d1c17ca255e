/* Inputs from text, for the tests of JSON. */
#ifndef PRISM_TEST_AUTOSCALE_JSON_STAGE_H
#define PRISM_TEST_AUTOSCALE_JSON_STAGE_H

#include "t.h"

#include "json/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct autoscale_json_input in;

static inline json_t *parse(const char *text)
{
    json_t *o;
    struct pr_err err = { .text = "" };
    assert_ok(autoscale_json_parse(text, strlen(text), &o, &err), &err);
    return o;
}

/* Reads; returns what went wrong, or "". */
static inline const char *read_text(const char *text, const char *policy)
{
    static struct pr_err err;
    err.text[0] = '\0';
    json_t *o = parse(text);
    const enum pr_code rc = autoscale_json_input_read(o, policy, &in, &err);
    json_decref(o);
    assert_int_equal(rc != PR_OK, err.text[0] != '\0');
    if (rc != PR_OK)
        assert_int_equal(rc, PR_EINVAL);
    return err.text;
}

#define LEAST "{\"view\": {\"desired\": 48, \"samples\": [{\"at_ms\": 60000, \"cpu_pct\": 70}]}}"

#endif
