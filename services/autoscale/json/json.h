/* What decides and what was decided as JSON: for files, the store and the API. Field by field
 * in docs/reference/autoscale-json.md. Whatever is written here is read back to the last bit,
 * so that a stored decision can be made again.
 *
 *     {"fleet": {...}, "settings": {...}, "view": {...}, "nodes": [...],
 *      "zone_traffic": {"us-west-2a": 0.5, ...}, "traffic_from": "...", "decided_ms": ...,
 *      "memory": [...]}
 *
 * Only view.desired must be there. Reading is strict: what is unknown, of the wrong type or
 * out of range is PR_EINVAL and names its path. */
#ifndef AUTOSCALE_JSON_H
#define AUTOSCALE_JSON_H

#include "core/decide.h"
#include "prism/arena.h"
#include "prism/buf.h"

#include <jansson.h>

enum {
    AUTOSCALE_JSON_VERSION = 1,   /* of an input */
    AUTOSCALE_MEMORY_VERSION = 1, /* of what policies remember; each rises when a meaning changes */
};

struct autoscale_json_input {
    struct autoscale_input in; /* large: keep it on the heap */
    struct pr_arena arena;     /* what in borrows */
};

/* policy: NULL, or the name of the kind that decides: it goes before those of the settings,
 * with its defaults when it is not among them. now_ms is the newest sample's when left out,
 * serving is desired. Release with done, also after a failure. */
PR_CHECKED enum pr_code autoscale_json_input_read(const json_t *o, const char *policy,
                                                  struct autoscale_json_input *out,
                                                  struct pr_err *err);
void autoscale_json_input_done(struct autoscale_json_input *in);
/* Complete: with every default that was left out. NULL without memory, as for all of these. */
json_t *autoscale_json_input_write(const struct autoscale_input *in);

/* Objects of their own, for stores that keep them apart. o NULL: the defaults. */
PR_CHECKED enum pr_code autoscale_json_fleet_read(const json_t *o, struct autoscale_fleet *out,
                                                  struct pr_err *err);
json_t *autoscale_json_fleet_write(const struct autoscale_fleet *fleet);
/* By default adaptive decides, and rules, hpa and target are recorded beside it. */
PR_CHECKED enum pr_code autoscale_json_settings_read(const json_t *o, const char *policy,
                                                     struct autoscale_settings *out,
                                                     struct pr_err *err);
json_t *autoscale_json_settings_write(const struct autoscale_settings *settings);
/* memory[settings->policies], an array in their order. PR_EINVAL: written by another version, or
 * for other policies; begin with zeroed memory then. */
PR_CHECKED enum pr_code autoscale_json_memory_read(const json_t *o,
                                                   const struct autoscale_settings *settings,
                                                   struct autoscale_memory *memory,
                                                   struct pr_err *err);
json_t *autoscale_json_memory_write(const struct autoscale_settings *settings,
                                    const struct autoscale_memory *memory);

json_t *autoscale_json_decision_write(const struct autoscale_input *in,
                                      const struct autoscale_decision *decision);
PR_CHECKED enum pr_code autoscale_json_decision_read(const json_t *o,
                                                     const struct autoscale_input *in,
                                                     struct autoscale_decision *out,
                                                     struct pr_err *err);

/* Text to and from: members in the order written, numbers with 17 digits. Takes over o, which
 * may be NULL; free the text. */
char *autoscale_json_text(json_t *o, bool for_people);
/* PR_EINVAL: where it is no JSON, or has a member twice. */
PR_CHECKED enum pr_code autoscale_json_parse(const char *text, size_t bytes, json_t **out,
                                             struct pr_err *err);

/* Decides again and compares every member to the last bit, and what the policies remember then
 * (memory NULL: nobody knows what they remembered). *same false: a line for each that differs is
 * appended to difference, "path: stored ..., now ...". */
PR_CHECKED enum pr_code autoscale_json_replay(const json_t *input, const json_t *decision,
                                              const json_t *memory, bool *same,
                                              struct pr_buf *difference, struct pr_err *err);

#endif
