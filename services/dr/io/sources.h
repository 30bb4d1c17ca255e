/* Where each shard's stream can be had, as the topology tables say; shared by threads. */
#ifndef DR_SOURCES_H
#define DR_SOURCES_H

#include "core/generation.h"

#include "io/settings.h"

#include "prism/io/db.h"
#include "prism/io/redis.h"

struct dr_sources;

enum { DR_MEMBERS = 8 }; /* of a shard that are looked at */
struct dr_member {
    char host[PR_HOST];
    int port;
    bool primary;
};
struct dr_source {
    char shard[DR_NAME];
    /* Those that are up: replicas of our zone, other replicas, the primary. */
    struct dr_member member[DR_MEMBERS];
    size_t members;
    uint8_t slots[DR_SLOTS / 8]; /* owned; see struct dr_generation */
};

/* zone (borrowed): whose replicas come first; "": none is ours. */
PR_CHECKED enum pr_code dr_sources_open(struct dr_sources **out, const char *zone,
                                        struct pr_err *err);
void dr_sources_close(struct dr_sources *s);
/* Reads the tables anew. On failure what was read before stays. */
PR_CHECKED enum pr_code dr_sources_refresh(struct dr_sources *s, struct pr_db *db,
                                           struct pr_err *err);
bool dr_sources_known(struct dr_sources *s); /* there are shards at all */
/* False: no such shard, or it owns no slot and neither gives nor takes any. One whose nodes are all
 * down is there, with nobody. */
bool dr_sources_find(struct dr_sources *s, const char *shard, struct dr_source *out);
/* A row may be missing for a moment, or come a moment after somebody heard of the shard: only one
 * that was missing in DR_GONE_READS readings, one after another, is gone. They are counted from the
 * latest dr_sources_watch() on; of a shard that is not watched nothing is known: not gone. */
enum { DR_GONE_READS = 60 }; /* about as many seconds */
void dr_sources_watch(struct dr_sources *s, const char *shard);
bool dr_sources_gone(struct dr_sources *s, const char *shard);
/* Names of the shards that belong to group g of `groups`, by a hash of the name, so that a shard
 * stays in its group whoever else comes and goes; *names is one malloc. */
PR_CHECKED enum pr_code dr_sources_of_group(struct dr_sources *s, uint32_t g, uint32_t groups,
                                            char (**names)[DR_NAME], size_t *n, struct pr_err *err);
uint32_t dr_group_of(const char *shard, uint32_t groups);

/* A client of the cluster that these members form. */
PR_CHECKED enum pr_code dr_sources_connect(struct dr_sources *s, const struct dr_config *cfg,
                                           struct pr_cluster **out, struct pr_err *err);

#endif
