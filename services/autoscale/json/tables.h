/* The tables of json/fields.h, and what they cannot say. Private to json/. */
#ifndef AUTOSCALE_JSON_TABLES_H
#define AUTOSCALE_JSON_TABLES_H

#include "core/decide.h"
#include "json/fields.h"

#define F(type, member) #member, .at = offsetof(type, member)

extern const char *const autoscale_metric_names[AUTOSCALE_METRICS];
extern const char *const autoscale_move_names[4];
extern const struct field_table autoscale_view_fields, autoscale_node_fields;
/* json/adaptive.c */
extern const struct field_table autoscale_adaptive_fields, autoscale_adaptive_memory_fields;
/* By enum autoscale_kind: of its settings. */
extern const struct field_table *const autoscale_policy_fields[AUTOSCALE_KINDS];

/* Each sets *to defaults, then reads; o NULL: the defaults alone. */
PR_CHECKED enum pr_code autoscale_fleet_read(struct field_ctx *c, const json_t *o,
                                             struct autoscale_fleet *to); /* c->fleet becomes it */
PR_CHECKED enum pr_code autoscale_settings_read(struct field_ctx *c, const json_t *o,
                                                const char *policy, struct autoscale_settings *to);
PR_CHECKED enum pr_code autoscale_memory_read(struct field_ctx *c, const json_t *o,
                                              const struct autoscale_settings *settings,
                                              struct autoscale_memory *memory);

#endif
