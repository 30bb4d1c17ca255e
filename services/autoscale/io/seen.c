#include "io/seen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct autoscale_seen_fleet {
    struct autoscale_seen_fleet *next;
    char name[AUTOSCALE_NAME];
    bool known;
    struct autoscale_sight sight;
};

void autoscale_sight_done(struct autoscale_sight *s)
{
    autoscale_report_done(&s->report);
}

void autoscale_seen_init(struct autoscale_seen *s)
{
    pthread_mutex_init(&s->lock, NULL);
    s->first = NULL;
}

void autoscale_seen_done(struct autoscale_seen *s)
{
    while (s->first != NULL) {
        struct autoscale_seen_fleet *f = s->first;
        s->first = f->next;
        autoscale_sight_done(&f->sight);
        free(f);
    }
    pthread_mutex_destroy(&s->lock);
}

static struct autoscale_seen_fleet *find(struct autoscale_seen *s, const char *fleet)
{
    struct autoscale_seen_fleet *f = s->first;
    while (f != NULL && strcmp(f->name, fleet) != 0)
        f = f->next;
    return f;
}

void autoscale_seen_put(struct autoscale_seen *s, const char *fleet, struct autoscale_sight *sight)
{
    pthread_mutex_lock(&s->lock);
    struct autoscale_seen_fleet *f = find(s, fleet);
    if (f == NULL && sight != NULL && (f = calloc(1, sizeof *f)) != NULL) {
        (void)snprintf(f->name, sizeof f->name, "%s", fleet);
        f->next = s->first;
        s->first = f;
    }
    if (f != NULL) {
        autoscale_sight_done(&f->sight);
        f->known = sight != NULL;
    }
    if (f != NULL && sight != NULL) {
        f->sight = *sight;
        sight->report = (struct autoscale_report){ 0 };
    }
    pthread_mutex_unlock(&s->lock);
}

static void *copy(const void *from, size_t n, size_t size, bool *room)
{
    void *to = calloc(n + 1, size);
    *room = *room && to != NULL;
    if (to != NULL && n > 0)
        memcpy(to, from, n * size);
    return to;
}

bool autoscale_seen_get(struct autoscale_seen *s, const char *fleet, struct autoscale_sight *out)
{
    bool room = true;
    pthread_mutex_lock(&s->lock);
    const struct autoscale_seen_fleet *f = find(s, fleet);
    const bool known = f != NULL && f->known;
    if (known) {
        const struct autoscale_report *r = &f->sight.report;
        *out = f->sight;
        out->report.target = copy(r->target, r->targets, sizeof *r->target, &room);
        out->report.instance = copy(r->instance, r->instances, sizeof *r->instance, &room);
        out->report.room = r->instances;
    }
    pthread_mutex_unlock(&s->lock);
    if (known && !room)
        autoscale_sight_done(out);
    return known && room;
}
