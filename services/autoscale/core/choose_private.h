/* What the choices of newcomers and of leavers share. Private to core/choose*.c. */
#ifndef AUTOSCALE_CHOOSE_PRIVATE_H
#define AUTOSCALE_CHOOSE_PRIVATE_H

#include "core/choose.h"

enum { CHOOSE_PLACES = AUTOSCALE_ZONES + AUTOSCALE_GROUPS };

struct choose_zone {
    int stay;        /* members that are wanted there: reported, or ordered and not yet there */
    double ideal;    /* of `to` members */
    int least, most; /* within evenness, and so that the zone may be lost */
    bool dead;       /* has members, and all have failed */
};

struct choose_site { /* a place: [zone] without a group, then [zones + group] */
    int zone, group;
    int room;      /* for more; INT_MAX: any number */
    int ordered;   /* of zone.stay: not reported yet */
    int unordered; /* of give: orders taken back */
    int give, get, back;
    int primaries; /* of get */
};

struct choose {
    const struct autoscale_choose *in;
    const struct autoscale_fleet *fleet;
    struct choose_zone zone[AUTOSCALE_ZONES];
    struct choose_site site[CHOOSE_PLACES];
    int sites;
    int staying; /* reported members that do not leave */
    bool traffic_known;
    struct autoscale_decision *out;
    char *limited;
    size_t limited_bytes;
};

struct choose_site *choose_site_of(struct choose *c, const struct autoscale_node *n);
void choose_leave(struct choose *c, int node); /* appends to out->leaves */

/* choose_traffic.c: words, appended to out->place_why; primaries of new shards. */
void choose_say(struct choose *c, const char *fmt, ...) PR_PRINTF(2, 3);
void choose_say_traffic(struct choose *c, const char *begin);
void choose_primaries(struct choose *c, int shards);
/* choose_new.c: returns the members that found a place. record: as get, else as ordered. */
int choose_new(struct choose *c, int members, bool record);
/* choose_back.c: drains called off; returns how many. */
PR_CHECKED enum pr_code choose_back(struct choose *c, int members, int *taken, struct pr_err *err);
/* choose_single.c, choose_shards.c: members that leave; *gone how many. */
PR_CHECKED enum pr_code choose_singles(struct choose *c, int members, int *gone,
                                       struct pr_err *err);
PR_CHECKED enum pr_code choose_shards(struct choose *c, int members, int *gone, struct pr_err *err);

/* choose_table.c: shards of a fleet of units, or single nodes as shards of their own. */
struct choose_shard {
    int first, count; /* into table.node */
    int staying, leaving, failed;
    int primary_zone; /* -1 unknown */
    uint64_t bytes;   /* of its largest member: a replica holds the same once more */
    int slots;
    bool sized; /* somebody knows its bytes; else they are its slots by the mean of the others */
    double traffic;
    bool free_node; /* in no shard */
    bool taken;
};
struct choose_table {
    int *node; /* indexes by shard */
    struct choose_shard *shard;
    int shards;
    int unsized;   /* shards */
    bool by_slots; /* no bytes of any slots are known: slots stand for all */
    uint64_t mean; /* bytes of a shard that has members who stay */
};
PR_CHECKED enum pr_code choose_table(const struct choose *c, struct choose_table *out,
                                     struct pr_err *err);
void choose_table_done(struct choose_table *t);

#endif
