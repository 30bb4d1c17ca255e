/* Jobs of atomic slot migration, as Valkey 9 and Redis 8.4 answer about them. */
#include "fake_pair_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LAST = 4 };
static const char *const V_EXPORT[] = { "connecting", "snapshotting", "replicating",
                                        "failover-paused", "success" };
static const char *const V_IMPORT[] = { "waiting-for-ack", "receiving-snapshot",
                                        "waiting-for-paused", "failover-granted", "success" };
static const char *const R_IMPORT[] = { "none", "accumulate-buffer", "wait-stream-eof", "takeover",
                                        "completed" };
static const char *const R_MIGRATE[] = { "connecting", "send-bulk-and-stream", "handoff-prep",
                                         "stream-eof", "completed" };

bool fake_takes(enum fake_fault f)
{
    if (fake.fault != f || fake.times == 0)
        return false;
    fake.times -= fake.times > 0;
    return true;
}

/* --- their life ------------------------------------------------------------------------- */

/* Who has no slot left follows who took the last one, and so do its replicas. */
static void follow(int source, int target)
{
    for (int s = 0; s < FAKE_SLOTS; s++)
        if (fake.node[source].owner[s] == source)
            return;
    for (int n = 0; n < FAKE_NODES; n++)
        if (n == source || (!fake.node[n].primary && fake.node[n].primary_of == source)) {
            fake.node[n].primary = false;
            fake.node[n].primary_of = target;
        }
}

static void take_over(const struct fake_job *j)
{
    struct fake_node *to = &fake.node[j->target];
    to->epoch += 10;
    for (const char *p = j->ranges; *p != '\0';) {
        char *end;
        const int first = (int)strtol(p, &end, 10), last = (int)strtol(end + 1, &end, 10);
        for (int s = first; s <= last; s++) {
            to->keys[s] = fake.node[j->source].keys[s];
            fake_give(s, j->target);
            if (fake.gossip)
                fake.node[j->source].keys[s] = 0;
        }
        p = *end == ' ' ? end + 1 : end;
    }
    follow(j->source, j->target);
}

static void end(struct fake_job *j, enum fake_end how, const char *error)
{
    j->end = how;
    j->error = error;
}

/* Redis begins an import that failed anew, by itself, from whoever owns the slots then. */
static bool lives(const struct fake_job *j)
{
    return j->end == FAKE_RUNS || (j->redis && j->end == FAKE_FAILED);
}

static void go_on(struct fake_job *j)
{
    if (j->redis && j->end == FAKE_FAILED) {
        if (!fake.node[j->source].alive)
            j->source = fake.node[j->source].primary_of;
        j->end = FAKE_RUNS;
        j->step = 0;
        j->retries++;
    }
    if (j->end != FAKE_RUNS)
        return;
    if (!fake.node[j->source].alive || !fake.node[j->target].alive)
        end(j, FAKE_FAILED, "Connection lost");
    else if (j->step == 1 && fake.fault == FAKE_HANGS)
        return;
    else if (j->step == 2 && fake_takes(FAKE_FAILS))
        end(j, FAKE_FAILED, "Ran out of memory (OOM) \xc3 during slot import");
    else if (++j->step == LAST) {
        end(j, FAKE_DONE, "");
        if (!fake_takes(FAKE_LIES))
            take_over(j);
    }
}

static struct fake_job *make_job(int source, int target, const char *ranges, bool redis)
{
    unsigned running = 1;
    if (fake.jobs == FAKE_JOBS)
        abort();
    for (int i = 0; i < fake.jobs; i++)
        running += lives(&fake.job[i]);
    fake.most_at_once = running > fake.most_at_once ? running : fake.most_at_once;
    struct fake_job *j = &fake.job[fake.jobs];
    *j = (struct fake_job){ .source = source, .target = target, .redis = redis, .error = "" };
    fake.jobs++;
    snprintf(j->id, sizeof j->id, "%040d", fake.jobs);
    snprintf(j->ranges, sizeof j->ranges, "%s", ranges);
    return j;
}

static void cancel(struct fake_job *j)
{
    end(j, FAKE_CANCELED, j->redis ? "Cancelled due to user request (state: x)" : "");
}

void fake_job_by_hand(int first, int last)
{
    char ranges[32];
    pthread_mutex_lock(&fake.lock);
    snprintf(ranges, sizeof ranges, "%d-%d", first, last);
    const int to = fake.node[FAKE_TARGET].primary ? FAKE_TARGET : fake.node[FAKE_TARGET].primary_of;
    (void)make_job(FAKE_SOURCE, to, ranges, fake.node[to].server == FAKE_REDIS84);
    pthread_mutex_unlock(&fake.lock);
}

void fake_cancel_by_hand(void)
{
    pthread_mutex_lock(&fake.lock);
    for (int i = 0; i < fake.jobs; i++)
        if (lives(&fake.job[i]))
            cancel(&fake.job[i]);
    pthread_mutex_unlock(&fake.lock);
}

bool fake_runs(void)
{
    bool runs = false;
    pthread_mutex_lock(&fake.lock);
    for (int i = 0; i < fake.jobs; i++)
        runs = runs || lives(&fake.job[i]);
    pthread_mutex_unlock(&fake.lock);
    return runs;
}

/* --- listing them ----------------------------------------------------------------------------- */

static const char *state_of(const struct fake_job *j, bool import)
{
    const char *const *name =
        j->redis ? (import ? R_IMPORT : R_MIGRATE) : (import ? V_IMPORT : V_EXPORT);
    if (j->end == FAKE_FAILED)
        return "failed";
    if (j->end == FAKE_CANCELED) /* the other side only sees that the link broke */
        return import != j->redis ? "failed" : j->redis ? "canceled" : "cancelled";
    return name[j->step];
}

static void field(struct pr_buf *out, const char *name, const char *value)
{
    fake_bulk(out, name);
    fake_bulk(out, value);
}

static void list(int node, bool redis, struct pr_buf *out)
{
    int n = 0;
    for (int i = 0; i < fake.jobs; i++)
        n += fake.job[i].source == node || fake.job[i].target == node;
    pr_buf_printf(out, "*%d\r\n", n);
    for (int i = fake.jobs - 1; i >= 0; i--) { /* the newest first */
        struct fake_job *j = &fake.job[i];
        const bool import = j->target == node;
        if (j->source != node && !import)
            continue;
        if (import == redis)
            go_on(j);
        pr_buf_printf(out, "*%d\r\n", redis ? 18 : 16);
        field(out, redis ? "id" : "name", j->id);
        field(out, redis ? "slots" : "slot_ranges", j->ranges);
        field(out, redis ? "source" : "source_node", fake.node[j->source].id);
        field(out, redis ? "dest" : "target_node", fake.node[j->target].id);
        field(out, "operation",
              redis ? (import ? "import" : "migrate") : (import ? "IMPORT" : "EXPORT"));
        field(out, "state", state_of(j, import));
        field(out, redis ? "last_error" : "message", j->error);
        fake_bulk(out, "create_time");
        pr_buf_str(out, ":1763740800\r\n");
        if (redis) {
            fake_bulk(out, "retries");
            pr_buf_printf(out, ":%d\r\n", j->retries);
        }
    }
}

/* --- being told ----------------------------------------------------------------------------------
 */

/* Words first..end as ranges; NULL when a slot is not the source's, or is moving already. */
static const char *read_ranges(int node, int source, int argc, char **argv, int first)
{
    static char text[4096];
    size_t len = 0;
    text[0] = '\0';
    for (int i = first; i + 1 < argc && argv[i][0] >= '0' && argv[i][0] <= '9'; i += 2) {
        const int from = atoi(argv[i]), to = atoi(argv[i + 1]);
        for (int s = from; s <= to; s++)
            if (fake.node[node].owner[s] != source || fake.node[node].mark[s] != 0)
                return NULL;
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%d-%d", len > 0 ? " " : "", from,
                                to);
    }
    for (int i = 0; i < fake.jobs; i++)
        if (lives(&fake.job[i]))
            return NULL;
    return text;
}

static bool start(int node, int argc, char **argv, bool redis, struct pr_buf *out)
{
    fake.started++;
    const int source = redis ? fake.node[node].owner[atoi(argv[3])] : node;
    const int target = redis ? node : fake_number(argv[argc - 1]);
    const char *ranges = source < 0 || target < 0 ? NULL : read_ranges(node, source, argc, argv, 3);
    if (fake_takes(FAKE_REFUSES) || ranges == NULL || !fake.node[node].primary) {
        pr_buf_str(out, "-ERR all slot states must be STABLE to start a slot migration task.\r\n");
        return true;
    }
    const struct fake_job *j = make_job(source, target, ranges, redis);
    if (redis)
        fake_bulk(out, j->id);
    else
        pr_buf_str(out, "+OK\r\n");
    return !fake_takes(FAKE_DEAF);
}

static bool stop(int node, bool redis, const char *id, struct pr_buf *out)
{
    const enum fake_cancels how = fake.cancels;
    int n = how == FAKE_FORGETS;
    fake.canceled++;
    fake.cancels = FAKE_OBEYS;
    for (int i = 0; i < fake.jobs && how != FAKE_IGNORES && how != FAKE_FORGETS; i++) {
        struct fake_job *j = &fake.job[i];
        if (!lives(j) || (redis ? j->target != node || strcmp(j->id, id) != 0 : j->source != node))
            continue;
        cancel(j);
        n++;
    }
    if (redis)
        pr_buf_printf(out, ":%d\r\n", n);
    else
        pr_buf_str(out, n > 0 ? "+OK\r\n" : "-ERR No migrations ongoing\r\n");
    return how != FAKE_HANGS_UP;
}

bool fake_job_command(int node, int argc, char **argv, struct pr_buf *out, bool *hang_up)
{
    const enum fake_server s = fake.node[node].server;
    const char *verb = argc > 1 ? argv[1] : "", *what = argc > 2 ? argv[2] : "";
    const bool redis = strcmp(verb, "MIGRATION") == 0,
               valkey = strcmp(verb, "MIGRATESLOTS") == 0 ||
                        strcmp(verb, "GETSLOTMIGRATIONS") == 0 ||
                        strcmp(verb, "CANCELSLOTMIGRATIONS") == 0;
    *hang_up = false;
    if (!(redis && s == FAKE_REDIS84) && !(valkey && s == FAKE_VALKEY9))
        return false;
    if (fake_takes(FAKE_FORBIDS))
        pr_buf_printf(out, "-NOPERM User x has no permissions to run the 'cluster|%s' command\r\n",
                      verb);
    else if (strcmp(verb, "MIGRATESLOTS") == 0 || strcmp(what, "IMPORT") == 0)
        *hang_up = !start(node, argc, argv, redis, out);
    else if (strcmp(verb, "CANCELSLOTMIGRATIONS") == 0 || strcmp(what, "CANCEL") == 0)
        *hang_up = !stop(node, redis, argv[argc - 1], out);
    else {
        fake.asked++;
        list(node, redis, out);
    }
    return true;
}
