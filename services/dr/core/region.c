#include "core/region.h"

#include <string.h>

const struct dr_region_row dr_region_row[DR_REGION_STEPS] = {
    [DR_REGION_CHECK] = { "check",
                          "Looks at everything that will be needed: the bucket, the newest whole "
                          "generation of every shard and how old it is, the backup of PostgreSQL, "
                          "the new side's cluster and directory.",
                          "nothing is in the way; nothing was changed", NULL,
                          "Mend what is named, and resume; or abort." },
    [DR_REGION_CLAIM] = { "claim",
                          "Writes the marker of the next epoch to the bucket: it names the new "
                          "side as the owner. From then on the old side's dr says of nothing that "
                          "it is durable, and locks its own side out wherever it runs.",
                          "the marker is in the bucket",
                          "Writes the marker of one epoch more, which names the old side again.",
                          "The bucket has to take writes. Mend that, and resume." },
    [DR_REGION_LOCKOUT] = { "lockout",
                            "Runs the old side's hook `stop`, if there is one. On every Redis node "
                            "of the old side turns off all users that are not kept, and ends their "
                            "connections; takes CONNECT from everybody in its PostgreSQL, and ends "
                            "their sessions. Notes where each primary was then.",
                            "every node of the old side that answers has nobody on but who is "
                            "kept, its PostgreSQL lets nobody in, and what does not answer is down "
                            "by the operator's word",
                            "Turns the users on again and gives CONNECT back; runs the old side's "
                            "hook `start`.",
                            "Make sure that what is named can serve nobody (power, network), then "
                            "resume with --old-side-is-down; or make it reachable, and resume." },
    [DR_REGION_DRAIN] = { "drain",
                          "Waits, for as long as --wait says, until the bucket has what each old "
                          "primary had when it was locked out.",
                          "it has, or the time is up: then what is missing is in the report", NULL,
                          "Resume." },
    [DR_REGION_RESTORE] = { "restore",
                            "Restores PostgreSQL from its newest backup and all write-ahead log "
                            "there is into the new side's directory; with --over-existing the "
                            "server that was there is stopped, and follows the old side by "
                            "pg_rewind where that still answers, else it is moved aside.",
                            "the data directory is complete",
                            "Nothing serves from the directory: the server in it is stopped, and "
                            "it stays for somebody to look at.",
                            "Read what pgBackRest or PostgreSQL said, mend, and resume; or "
                            "abort." },
    [DR_REGION_PROMOTE] = { "promote",
                            "Starts the restored server and waits for the end of its recovery, "
                            "gives CONNECT back there, and ends the leases of the old side's "
                            "services. From here on there is no way back but to fail back.",
                            "PostgreSQL takes writes on a new timeline", NULL,
                            "Read the server's log, mend, and resume." },
    [DR_REGION_REDIS] = { "redis",
                          "Restores every shard into the new side's cluster as "
                          "`prism-dr restore-cluster` does, rebuilds routes, sets epochs above "
                          "all that were seen, and registers the new side's nodes. Where the sites "
                          "have no PostgreSQL of their own there is no way back from here on but "
                          "to fail back.",
                          "keys per slot and the digest are those of what was restored, and the "
                          "cluster is unsealed",
                          NULL,
                          "When vertices would be lost: resume with --accept-loss. Else mend what "
                          "is named, and resume." },
    [DR_REGION_SWITCH] = { "switch",
                           "Turns on the new side's users, where an earlier fail-over had turned "
                           "them off, and runs the new side's hooks `start` and `switch`, which "
                           "point clients and services there.",
                           "both hooks ended with 0", NULL,
                           "Point the endpoints by hand or mend the hook, and resume." },
    [DR_REGION_VERIFY] = { "verify",
                           "Looks at the new side: every slot has an owner, every node says that "
                           "the cluster is ok, a probe is written, read and deleted on each "
                           "primary, PostgreSQL takes a write. Looks at the old side: it is still "
                           "locked out.",
                           "all of that is so", NULL,
                           "Mend what is named on the new side, and resume. When the old side "
                           "came back, it is locked out again by resuming." },
    [DR_REGION_REPORT] = { "report",
                           "Writes what was reached, RPO and RTO, to the journal and to the table "
                           "dr_failovers.",
                           "both have it", NULL,
                           "PostgreSQL of the new side has to answer. Resume." },
};

bool dr_region_step_find(const char *name, enum dr_region_step *out)
{
    for (int i = 0; i < DR_REGION_STEPS; i++)
        if (strcmp(dr_region_row[i].name, name) == 0) {
            *out = (enum dr_region_step)i;
            return true;
        }
    return false;
}

static const char *const KIND[DR_REGION_KINDS] = {
    [DR_REGION_BEGIN] = "begin", [DR_REGION_ATTEMPT] = "attempt", [DR_REGION_INTENT] = "intent",
    [DR_REGION_DONE] = "done",   [DR_REGION_FAILED] = "failed",   [DR_REGION_NOTE] = "note",
    [DR_REGION_ABORT] = "abort", [DR_REGION_UNDO] = "undo",       [DR_REGION_UNDONE] = "undone",
    [DR_REGION_STUCK] = "stuck", [DR_REGION_END] = "end"
};

const char *dr_region_kind_name(enum dr_region_kind k)
{
    return KIND[k];
}

bool dr_region_kind_find(const char *name, enum dr_region_kind *out)
{
    for (int i = 0; i < DR_REGION_KINDS; i++)
        if (strcmp(KIND[i], name) == 0) {
            *out = (enum dr_region_kind)i;
            return true;
        }
    return false;
}

const char *dr_region_at_name(enum dr_region_at at)
{
    static const char *const NAME[] = { "waiting", "running", "done", "failed", "undone" };
    return NAME[at];
}

/* --- the machine -------------------------------------------------------------------------------
 */

/* Without PostgreSQL of its own the new side has the old side's rows of nodes, shards and slots
 * replaced, and the routes: the redis step does, and nothing brings them back. */
static enum dr_region_step no_return(const struct dr_region_state *s)
{
    return s->postgres ? DR_REGION_PROMOTE : DR_REGION_REDIS;
}

enum dr_region_do dr_region_next(const struct dr_region_state *s, enum dr_region_step *step)
{
    if (!s->begun || s->ended)
        return DR_REGION_NOTHING;
    for (int i = 0; !s->aborting && i < DR_REGION_STEPS; i++)
        if (s->step[i].at != DR_REGION_IS_DONE) {
            *step = (enum dr_region_step)i;
            return DR_REGION_STEP;
        }
    /* Forwards, too: the old side is the owner again before anybody may write there, or its dr
     * would lock it out anew. */
    for (int i = 0; s->aborting && i < DR_REGION_STEPS; i++)
        if (dr_region_row[i].undo != NULL && s->step[i].at != DR_REGION_WAITING &&
            s->step[i].at != DR_REGION_IS_UNDONE) {
            *step = (enum dr_region_step)i;
            return DR_REGION_BACK;
        }
    return DR_REGION_FINISH;
}

const char *dr_region_no_abort(const struct dr_region_state *s)
{
    if (!s->begun || s->ended)
        return "none is under way";
    if (s->step[no_return(s)].at != DR_REGION_WAITING)
        return s->postgres
                   ? "PostgreSQL of the new side is promoted, or may be: what was written there "
                     "since would be lost. Finish it (resume), then fail back"
                   : "routes and nodes in the database that both sides use are those of the new "
                     "side, or may be. Finish it (resume), then fail back";
    return NULL;
}

/* One that goes on with a step goes on with the one that is next. */
static const char *apply_step(struct dr_region_state *s, const struct dr_region_record *r)
{
    enum dr_region_step next;
    const bool back =
        r->kind == DR_REGION_UNDO || r->kind == DR_REGION_UNDONE || r->kind == DR_REGION_STUCK;
    if (back != s->aborting)
        return back ? "takes back without an abort" : "goes on after an abort";
    if (dr_region_next(s, &next) != (back ? DR_REGION_BACK : DR_REGION_STEP) || next != r->step)
        return "is of a step that is not next";
    const bool running = s->step[next].at == DR_REGION_RUNNING;
    switch (r->kind) {
    case DR_REGION_INTENT:
    case DR_REGION_UNDO:
        s->step[next].at = DR_REGION_RUNNING;
        s->step[next].begun_ms = r->at_ms;
        s->step[next].ended_ms = 0;
        return NULL;
    case DR_REGION_NOTE:
        return running ? NULL : "notes something of a step that was not begun";
    case DR_REGION_DONE:
    case DR_REGION_FAILED:
    case DR_REGION_UNDONE:
    case DR_REGION_STUCK:
        if (!running)
            return "ends a step that was not begun";
        s->step[next].at = r->kind == DR_REGION_DONE     ? DR_REGION_IS_DONE
                           : r->kind == DR_REGION_UNDONE ? DR_REGION_IS_UNDONE
                                                         : DR_REGION_IS_FAILED;
        s->step[next].ended_ms = r->at_ms;
        return NULL;
    default:
        return "is of no step";
    }
}

static const char *apply(struct dr_region_state *s, const struct dr_region_record *r)
{
    enum dr_region_step next;
    const char *why;
    if (s->begun == (r->kind == DR_REGION_BEGIN))
        return s->begun ? "begins again" : "comes before the beginning";
    if (s->ended)
        return "comes after the end";
    switch (r->kind) {
    case DR_REGION_BEGIN:
        s->begun = true;
        s->postgres = r->postgres;
        s->attempts = 1;
        s->begun_ms = r->at_ms;
        return NULL;
    case DR_REGION_ATTEMPT:
        s->attempts++;
        return NULL;
    case DR_REGION_ABORT:
        why = s->aborting ? "aborts twice" : dr_region_no_abort(s);
        s->aborting = why == NULL || s->aborting;
        return why;
    case DR_REGION_END:
        if (dr_region_next(s, &next) != DR_REGION_FINISH)
            return "ends before all is done";
        s->ended = true;
        s->ended_ms = r->at_ms;
        return NULL;
    default:
        return apply_step(s, r);
    }
}

const char *dr_region_apply(struct dr_region_state *s, const struct dr_region_record *r)
{
    const char *why = apply(s, r);
    if (why == NULL)
        s->written_ms = r->at_ms;
    return why;
}

/* --- how much is missing -----------------------------------------------------------------------
 */

static bool reaches(const struct dr_region_shard *s, const struct dr_region_point *p)
{
    return strcmp(s->replid, p->replid) == 0 && s->offset >= p->offset;
}

int64_t dr_region_rpo_ms(const struct dr_region_shard *shard, size_t shards,
                         const struct dr_region_point *point, size_t points, int64_t at_ms,
                         size_t *missing)
{
    int64_t rpo_ms = 0;
    *missing = 0;
    for (size_t i = 0; i < shards; i++) {
        bool whole = false;
        for (size_t p = 0; p < points && !whole; p++)
            whole = reaches(&shard[i], &point[p]);
        const int64_t age_ms = at_ms - shard[i].last_ms;
        if (!whole && age_ms > rpo_ms)
            rpo_ms = age_ms;
    }
    for (size_t p = 0; p < points; p++) {
        bool reached = false;
        for (size_t i = 0; i < shards && !reached; i++)
            reached = reaches(&shard[i], &point[p]);
        *missing += !reached;
    }
    return rpo_ms;
}

int64_t dr_region_rto_ms(const struct dr_region_state *s, int64_t verified_ms)
{
    return verified_ms > s->begun_ms ? verified_ms - s->begun_ms : 0;
}
