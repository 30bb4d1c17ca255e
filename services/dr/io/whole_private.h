/* Between the parts of whole.c. */
#ifndef DR_WHOLE_PRIVATE_H
#define DR_WHOLE_PRIVATE_H

#include "io/quarantine.h"
#include "io/takes.h"
#include "io/target.h"
#include "io/whole.h"

#include <pthread.h>

struct dr_whole_run {
    const struct dr_whole *w;
    struct dr_whole_done *out;
    char dir[4096]; /* that is worked in */
    struct dr_index index;
    struct dr_rooms rooms;
    pthread_rwlock_t reading; /* of the index, while shards are fetched side by side */
    pthread_mutex_t joining;  /* of the survey, while shards are looked at side by side */
    struct dr_exchange exchange;
    struct dr_whole_progress own, *progress; /* own: when nobody looks */
    struct dr_quarantine *server;            /* [shards] those of [from, to) run */
    struct pr_redis **conn;                  /* [shards] NULL: it does not run */
    bool *fetched;                           /* [shards] */
    size_t wave, from, to;                   /* servers at a time; those that run now */
    struct dr_survey survey, more;           /* more: of the second look, while it goes on */
    int owner[DR_SLOTS];                     /* shard */
    uint8_t unsure[DR_SLOTS / 8];            /* slots of which owner may be wrong */
    struct dr_takes takes;                   /* of those shards */
    uint32_t partitions;
    unsigned threads;
    struct pr_db *db;
    struct dr_target target;
    struct pr_buf functions; /* of the first shard */
};

/* whole_wave.c: servers by waves. begin: how many at a time. each: calls fn (NULL: nothing) with
 * every wave in turn of which `wants` (NULL: all) wants a shard, its servers loaded. When all fit
 * they stay up, else each wave's files are written and its servers stopped. What is not fetched yet
 * is. each (NULL: none) is called for every shard that is loaded, by several threads, while others
 * still load. */
PR_CHECKED enum pr_code dr_wave_begin(struct dr_whole_run *r, struct pr_err *err);
typedef enum pr_code dr_wave_fn(struct dr_whole_run *r, void *ctx, struct pr_err *err);
typedef enum pr_code dr_wave_shard_fn(struct dr_whole_run *r, size_t shard, struct pr_err *err);
typedef bool dr_wave_wants_fn(const struct dr_whole_run *r, const void *ctx, size_t shard);
PR_CHECKED enum pr_code dr_wave_each(struct dr_whole_run *r, dr_wave_wants_fn *wants,
                                     dr_wave_shard_fn *each, dr_wave_fn *fn, void *ctx,
                                     struct pr_err *err);
void dr_wave_kill(struct dr_whole_run *r); /* all that run; as often as wanted */
/* Of the wave's shards what the survey's verdict says is carried out. */
PR_CHECKED enum pr_code dr_wave_mend(struct dr_whole_run *r, struct pr_err *err);

/* whole_part.c: what other parts have to know. facts: of this part's shards, and what the first
 * look found; again: what the second did; both add what others say. */
PR_CHECKED enum pr_code dr_part_begin(struct dr_whole_run *r, struct pr_err *err);
PR_CHECKED enum pr_code dr_part_facts(struct dr_whole_run *r, struct pr_err *err);
PR_CHECKED enum pr_code dr_part_again(struct dr_whole_run *r, struct pr_err *err);

/* whole_dir.c: the directory. begin: makes it, after removing what an earlier run left; it has a
 * mark of ours from then on. PR_EEXISTS: there is something else in it. */
PR_CHECKED enum pr_code dr_whole_dir_begin(struct dr_whole_run *r, struct pr_err *err);
void dr_whole_dir_remove(struct dr_whole_run *r);

/* whole_gather.c: shards are mended, and keys brought to the owner of their slot. */
PR_CHECKED enum pr_code dr_whole_gather(struct dr_whole_run *r, struct pr_err *err);

/* whole_dir.c again: cluster.json, and the directory gets its name. */
PR_CHECKED enum pr_code dr_whole_publish(struct dr_whole_run *r, struct pr_err *err);

/* whole_fill.c: the cluster. look: may it be filled? */
PR_CHECKED enum pr_code dr_whole_look(struct dr_whole_run *r, struct pr_err *err);
PR_CHECKED enum pr_code dr_whole_fill(struct dr_whole_run *r, struct pr_err *err);

#endif
