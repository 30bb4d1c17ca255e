/* Shared by the files of a group. */
#ifndef DR_GROUP_PRIVATE_H
#define DR_GROUP_PRIVATE_H

#include "io/group.h"
#include "io/state.h"

#include <pthread.h>

struct dr_group_member {
    struct dr_shard *shard;
    struct dr_generation_id known; /* that its row names: so whoever takes over looks for it */
    bool leaving;                  /* of the group: its thread was told to stop */
    bool frozen;                   /* nothing more is packed of its generation */
    struct { /* its newest base, as its manifest says; of: epoch 0 not read yet */
        struct dr_generation_id of;
        int64_t ended_ms;
        uint64_t bytes, offset;
    } base;
};

/* A second thread for one of the shards, that brings a new base while the first ships on. */
struct dr_group_twin {
    struct dr_shard *shard; /* NULL: there is none */
    char name[DR_NAME];
    const char *why;
    uint64_t frozen_at; /* what the first has shipped in the end; its member is frozen */
    int64_t frozen_us;
    char releasing[DR_NAME]; /* the shard whose new manifest waits for its row; "" */
    int64_t next_us;         /* no other before */
    size_t learn;            /* member whose base is asked for first */
};

struct dr_group {
    struct dr_group_options o;
    char name[DR_NAME];
    struct pr_tenure *tenure;
    struct pr_s3_store store;

    /* The leading thread's. */
    pthread_t thread;
    struct pr_db *db;
    struct pr_s3 *s3;
    uint64_t seq, retries;
    uint8_t check[DR_HASH]; /* of the container before */
    struct dr_shard_env env;
    atomic_uint generations;
    struct pr_buf raw, out;
    struct dr_piece piece[DR_PIECES_MAX];
    size_t first; /* member that is asked first */
    int64_t looked_us;
    struct dr_group_twin twin;
    char said[256]; /* why it did not lead, last */

    pthread_t saver;
    struct pr_db *save_db; /* the saver's, as is: */
    int64_t wanted_us;     /* when it looks again for shards that need a base */

    atomic_bool ages_unkept; /* as was said */
    atomic_bool cancel;      /* of requests to the bucket: another leads, or no time is left */
    pthread_mutex_t mu;      /* all below */
    pthread_cond_t woken, save, ended;
    bool stop, much, save_now, saver_stop, over;
    bool leading;
    struct pr_lease lease; /* of this turn at leading; so is epoch */
    uint64_t epoch;
    uint64_t saved_to;              /* seq below which containers are durable, and */
    struct dr_group_member *member; /* [members]; changed by the leading thread only */
    char (*wanted)[DR_NAME];        /* [n_wanted] shards that need a new base; one malloc */
    size_t n_wanted;
    size_t members, room;
    char trouble[DR_TROUBLE];
};

bool dr_group_rest(struct dr_group *g, int64_t until_us); /* false: we are to stop */
/* Another leads, or has led. */
bool dr_group_lost(struct dr_group *g);
/* The lease is ours, of this turn, for certain. */
bool dr_group_sure(struct dr_group *g);

/* group_pack.c: *unnamed: a generation waits until its row names it. */
PR_CHECKED enum pr_code dr_group_pack(struct dr_group *g, bool *unnamed, struct pr_err *err);
/* After what is in the bucket became known, and before it is said to be durable. PR_ECANCELED: the
 * bucket does not say, and we stop, or another leads. */
PR_CHECKED enum pr_code dr_group_ask_owner(struct dr_group *g, struct pr_err *err);
/* group_save.c */
PR_CHECKED enum pr_code dr_group_save(struct dr_group *g, struct pr_db *db, struct pr_err *err);
void *dr_group_saver(void *group);
void dr_group_ask_to_save(struct dr_group *g);
/* group_members.c: as the topology says. */
PR_CHECKED enum pr_code dr_group_take_over(struct dr_group *g, struct pr_err *err);
PR_CHECKED enum pr_code dr_group_look(struct dr_group *g, struct pr_err *err);
void dr_group_let_go(struct dr_group *g);
/* group_rebase.c: a step towards a new base, if any shard wants one. Never in the way of anything:
 * what fails is tried again later. */
void dr_group_rebase(struct dr_group *g);
void dr_group_stop_twin(struct dr_group *g);
void dr_group_read_wanted(struct dr_group *g, struct pr_db *db); /* the saver's, now and then */

#endif
