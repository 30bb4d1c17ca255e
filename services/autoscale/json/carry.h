/* The record of carrying out a decision (core/carry.h) as JSON, for autoscale_decisions.report. */
#ifndef AUTOSCALE_JSON_CARRY_H
#define AUTOSCALE_JSON_CARRY_H

#include "core/carry.h"

#include <jansson.h>

/* When providers answered last (known_ms) is not kept: whoever reads it begins to count. */
json_t *autoscale_json_carry_write(const struct autoscale_carry *c);
PR_CHECKED enum pr_code autoscale_json_carry_read(const json_t *o, struct autoscale_carry *out,
                                                  struct pr_err *err);

#endif
