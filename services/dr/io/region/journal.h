/* The journal of a fail-over, in the bucket: CLUSTER/failover/NUMBER/SEQ, from 0, each record
 * written with If-None-Match. So of two that go on with the same one the second to write is told
 * so, whoever it is, and what it would have done next is not begun.
 *
 * A record is JSON: what happened (core/region.h), and facts that are needed by whoever goes on
 * without having been there. Later facts replace earlier ones. */
#ifndef DR_JOURNAL_H
#define DR_JOURNAL_H

#include "core/keys.h"
#include "core/region.h"

#include "prism/buf.h"
#include "prism/s3/s3.h"

enum { DR_REGION_TEXT = 256 };

struct dr_region_facts {
    char from[DR_NAME], to[DR_NAME], by[DR_NAME];
    char key[256]; /* of the order that began it; "": none */
    bool old_side_is_down, over_existing, accept_loss;
    int64_t wait_ms;
    char data[DR_NAME];            /* cluster, in the names of what is restored */
    char next_data[DR_NAME];       /* and of what the new side will ship */
    uint64_t epoch;                /* of the marker that claims */
    int64_t claim_ms;              /* in the marker */
    int64_t locked_ms;             /* when the old side was locked out; 0: not yet */
    bool all_locked;               /* every node of it answered */
    struct dr_region_point *point; /* [points] of its primaries, then; owned */
    size_t points;
    bool emptying;       /* the new side's Redis was fit to be filled: its keys are ours */
    bool drained;        /* the bucket had all of that */
    int64_t rpo_ms;      /* -1: not known yet */
    size_t missing;      /* primaries of which something is missing */
    int64_t verified_ms; /* 0: not yet */
};

struct dr_journal {      /* owned: dr_journal_done */
    struct pr_s3 *s3;    /* borrowed */
    const char *cluster; /* borrowed */
    uint64_t number;     /* 0: there never was one */
    uint64_t next_seq;
    char writer[DR_NAME]; /* tells who writes from any other */
    struct dr_region_state state;
    struct dr_region_facts facts;
    char text[DR_REGION_STEPS][DR_REGION_TEXT]; /* last said of each step */
    char why[DR_REGION_TEXT];                   /* why it has stopped; "": it has not */
};

/* The newest one, or number 0. PR_EDATA: a record is damaged or out of turn, named. */
PR_CHECKED enum pr_code dr_journal_open(struct dr_journal *j, struct pr_s3 *s3, const char *cluster,
                                        struct pr_err *err);
void dr_journal_done(struct dr_journal *j);
/* A new one, in place of one that has ended: facts are set before, and written with its BEGIN.
 * PR_EFENCED: somebody else began one. */
PR_CHECKED enum pr_code dr_journal_begin(struct dr_journal *j, const struct dr_region_facts *facts,
                                         bool postgres, struct pr_err *err);
/* facts: members of a JSON object ("\"rpo_ms\":5"), or "". text: may be NULL. Applied to j.
 * PR_EFENCED: somebody else has written; nothing of this one is. */
PR_CHECKED enum pr_code dr_journal_write(struct dr_journal *j, enum dr_region_kind kind,
                                         enum dr_region_step step, const char *text,
                                         const char *facts, struct pr_err *err);
/* PR_EFENCED: somebody else has written meanwhile. */
PR_CHECKED enum pr_code dr_journal_still_ours(struct dr_journal *j, struct pr_err *err);

#endif
