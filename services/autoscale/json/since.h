/* Since when members are there and ready (core/since.h) as JSON, for autoscale_state.members. */
#ifndef AUTOSCALE_JSON_SINCE_H
#define AUTOSCALE_JSON_SINCE_H

#include "core/since.h"
#include "prism/arena.h"

#include <jansson.h>

json_t *autoscale_json_sinces_write(const struct autoscale_sinces *s);
/* Into the arena. PR_EINVAL. */
PR_CHECKED enum pr_code autoscale_json_sinces_read(const json_t *o, struct pr_arena *arena,
                                                   struct autoscale_sinces *out,
                                                   struct pr_err *err);

#endif
