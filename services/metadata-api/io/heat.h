/* Access time and temperature of partitions, from prism.edges.access into PostgreSQL: every replica
 * hears of every access; whoever comes first writes. */
#ifndef METADATA_API_HEAT_SHELL_H
#define METADATA_API_HEAT_SHELL_H

#include "api_heat.h"
#include "prism/io/bus.h"
#include "prism/io/db.h"

struct api_heat; /* thread-safe */

PR_CHECKED enum pr_code api_heat_new(struct api_heat **heat, const struct api_heat_rules *rules,
                                     struct pr_err *err);
void api_heat_free(struct api_heat *heat); /* NULL is fine */
/* One message; one that makes no sense is dropped and counted. partitions: of the store; 0: not
 * known yet. */
void api_heat_hear(struct api_heat *heat, const struct pr_msg *msg, uint32_t partitions,
                   int64_t now_ms);
/* Writes what has changed since the last time; nothing before the first access was heard of.
 * Not from two threads at once. */
PR_CHECKED enum pr_code api_heat_write(struct api_heat *heat, struct pr_db *db, int64_t now_ms,
                                       struct pr_err *err);
struct api_heat_stats {
    uint64_t heard, dropped, written; /* messages, messages, rows */
};
void api_heat_stats(struct api_heat *heat, struct api_heat_stats *out);

#endif
