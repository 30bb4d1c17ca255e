#include "io/beat.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/io/rest.h"
#include "prism/slot.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEY = 64, TIME = 24 };

struct one { /* a shard's heartbeat */
    char key[KEY], at[TIME];
    const char *argv[3];
    size_t len[3];
};

struct dr_beat {
    struct dr_beat_options o;
    struct pr_cluster *cluster;
    char tag[DR_SLOTS][8]; /* of a slot: a text that hashes into it; "" not looked for yet */
    pthread_mutex_t mu;
    pthread_cond_t woken;
    bool stop;
    pthread_t thread;
};

static uint16_t slot_of(const char *tag)
{
    return pr_slot_of_key(tag, strlen(tag));
}

/* All at once: looking for one is half as much work. */
static void find_tags(struct dr_beat *b)
{
    char text[8];
    int found = 0;
    for (int i = 0; found < DR_SLOTS && i < 9999999; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        char *tag = b->tag[slot_of(text)];
        if (tag[0] != '\0')
            continue;
        memcpy(tag, text, sizeof text);
        found++;
    }
}

static int lowest_slot(const struct dr_source *s)
{
    for (int i = 0; i < DR_SLOTS; i++)
        if ((s->slots[i / 8] >> i % 8 & 1) != 0)
            return i;
    return -1;
}

static void fill(struct dr_beat *b, int slot, struct one *o, struct pr_rcmd *cmd)
{
    (void)snprintf(o->key, KEY, "%s{%s}", DR_BEAT_KEY, b->tag[slot]);
    (void)snprintf(o->at, TIME, "%lld", (long long)pr_now_ms());
    o->argv[0] = "SET";
    o->argv[1] = o->key;
    o->argv[2] = o->at;
    for (size_t i = 0; i < 3; i++)
        o->len[i] = strlen(o->argv[i]);
    *cmd =
        (struct pr_rcmd){ .argc = 3, .argv = o->argv, .argvlen = o->len, .slot = (uint16_t)slot };
}

/* Of every shard of a group that is led here. *n: commands. */
static enum pr_code gather(struct dr_beat *b, struct one **one, struct pr_rcmd **cmd, size_t *n,
                           struct pr_err *err)
{
    size_t room = 0;
    *n = 0;
    for (size_t g = 0; g < b->o.groups; g++) {
        char(*name)[DR_NAME] = NULL;
        size_t names = 0;
        if (!dr_group_leads(b->o.group[g]))
            continue;
        enum pr_code rc = dr_sources_of_group(b->o.sources, (uint32_t)g, (uint32_t)b->o.groups,
                                              &name, &names, err);
        if (rc != PR_OK)
            return rc;
        room += names;
        void *more_one = realloc(*one, (room + 1) * sizeof **one);
        *one = more_one != NULL ? more_one : *one;
        void *more_cmd = realloc(*cmd, (room + 1) * sizeof **cmd);
        *cmd = more_cmd != NULL ? more_cmd : *cmd;
        for (size_t i = 0; more_one != NULL && more_cmd != NULL && i < names; i++) {
            struct dr_source s;
            const int slot = dr_sources_find(b->o.sources, name[i], &s) ? lowest_slot(&s) : -1;
            if (slot >= 0)
                (*cmd)[(*n)++].slot = (uint16_t)slot;
        }
        free(name);
        if (more_one == NULL || more_cmd == NULL)
            return pr_fail(err, PR_ENOMEM, "no memory for heartbeats");
    }
    for (size_t i = 0; i < *n; i++) /* the arrays have stopped moving */
        fill(b, (*cmd)[i].slot, &(*one)[i], &(*cmd)[i]);
    return PR_OK;
}

static enum pr_code beat(struct dr_beat *b, struct pr_err *err)
{
    struct one *one = NULL;
    struct pr_rcmd *cmd = NULL;
    size_t n = 0;
    const struct pr_run_options how = { .deadline_ms = (int)b->o.cfg->redis_timeout_ms,
                                        .write_retry = true };
    enum pr_code rc = gather(b, &one, &cmd, &n, err);
    if (rc == PR_OK && n > 0 && b->cluster == NULL)
        rc = dr_sources_connect(b->o.sources, b->o.cfg, &b->cluster, err);
    if (rc == PR_OK && n > 0)
        rc = pr_cluster_run(b->cluster, cmd, n, &how, err);
    size_t missed = 0;
    for (size_t i = 0; rc == PR_OK && i < n; i++) {
        missed += cmd[i].rc != PR_OK;
        if (cmd[i].reply != NULL)
            freeReplyObject(cmd[i].reply);
    }
    free(one);
    free(cmd);
    pr_metrics_add(b->o.metrics, M_BEATS_MISSED, NULL, (double)missed);
    if (rc != PR_OK) { /* another view of the cluster may help */
        pr_cluster_close(b->cluster);
        b->cluster = NULL;
    }
    return rc;
}

static void *run(void *arg)
{
    struct dr_beat *b = arg;
    int64_t next_us = pr_mono_us();
    bool failing = false;
    find_tags(b);
    do {
        struct pr_err err = { 0 };
        const enum pr_code rc = beat(b, &err);
        if (rc != PR_OK && !failing)
            pr_warn(PR_EV("dr.beat_failed"), PR_S("code", pr_code_name(rc)), PR_E(&err));
        failing = rc != PR_OK;
        next_us += b->o.cfg->beat_ms * 1000;
        if (next_us < pr_mono_us())
            next_us = pr_mono_us();
    } while (pr_rest(&b->mu, &b->woken, &b->stop, next_us));
    pr_cluster_close(b->cluster);
    return NULL;
}

enum pr_code dr_beat_start(struct dr_beat **out, const struct dr_beat_options *o,
                           struct pr_err *err)
{
    struct dr_beat *b = calloc(1, sizeof *b);
    if (b == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for heartbeats");
    b->o = *o;
    pthread_mutex_init(&b->mu, NULL);
    pr_cond_init(&b->woken);
    if (pthread_create(&b->thread, NULL, run, b) != 0) {
        pthread_cond_destroy(&b->woken);
        pthread_mutex_destroy(&b->mu);
        free(b);
        return pr_fail(err, PR_ENOMEM, "no thread for heartbeats");
    }
    *out = b;
    return PR_OK;
}

void dr_beat_stop(struct dr_beat *b)
{
    if (b == NULL)
        return;
    pthread_mutex_lock(&b->mu);
    b->stop = true;
    pthread_cond_signal(&b->woken);
    pthread_mutex_unlock(&b->mu);
    pthread_join(b->thread, NULL);
    pthread_cond_destroy(&b->woken);
    pthread_mutex_destroy(&b->mu);
    free(b);
}
