/* What brings members and takes them away: AWS Auto Scaling, Kubernetes, a dry run. Every
 * order is absolute ("so many are wanted") and compared with what the provider reports before
 * anything is sent; whether it is done is what describe reports later (core/settle.h).
 * Calls end within the pace's deadline; errors name the provider, the group and the API's own
 * words. PR_EDENIED: credentials: hold and alarm. PR_EUNAVAIL, PR_ETIMEOUT: tried until the
 * deadline; the order may have arrived, and giving it again is harmless.
 * Used by one thread at a time. */
#ifndef AUTOSCALE_ACTUATOR_H
#define AUTOSCALE_ACTUATOR_H

#include "core/settle.h"
#include "prism/backoff.h"
#include "prism/web/aws_keys.h"

enum { AUTOSCALE_TARGETS = 80, AUTOSCALE_TARGET_NAME = 256, AUTOSCALE_MEMBER_ID = 256 };

struct autoscale_target { /* one group of the provider's: of one zone and placement group */
    char name[AUTOSCALE_TARGET_NAME]; /* Auto Scaling group; "deployments/NAME" */
    int zone, group;                  /* indexes in the fleet; group -1: none */
};

/* Of a member, whatever the provider calls it. */
enum autoscale_life {
    AUTOSCALE_COMING,
    AUTOSCALE_IN_SERVICE,
    AUTOSCALE_LEAVING,
    AUTOSCALE_STANDBY, /* exists and does not count: set aside, or warm */
    AUTOSCALE_GONE
};

struct autoscale_instance {
    char id[AUTOSCALE_MEMBER_ID]; /* i-0abc..., a pod's name */
    char place[64];               /* the provider's zone, or the pod's node */
    char state[48];               /* the provider's word for life */
    char address[80];             /* host:port of what runs on it, where the provider knows; "" */
    enum autoscale_life life;
    bool healthy;
    bool marked; /* to go before others, by an order of ours that was not carried out yet */
    int goes;    /* the provider takes lower ones first, whatever is marked; 0: it does not say */
    /* As the provider says it; 0: it does not. ready: when healthy last changed. */
    int64_t started_ms, ready_since_ms;
    size_t target;
};

struct autoscale_report {              /* release with autoscale_report_done */
    struct autoscale_reported *target; /* [targets], as in the actuator */
    size_t targets;
    struct autoscale_instance *instance; /* [instances]; gone ones are left out */
    size_t instances, room;
};
void autoscale_report_done(struct autoscale_report *r);

struct autoscale_pace {        /* how an actuator waits */
    struct pr_backoff backoff; /* 0: 200 ms, up to 10 s */
    int64_t deadline_ms;       /* of one call with all its tries; 0: 60 s */
    long timeout_ms;           /* of one question to the API; 0: 10 s */
    uint64_t seed;
    /* NULL: the machine's clock. wait returns false when somebody asked us to stop. */
    int64_t (*now_ms)(void *ctx); /* monotonic */
    bool (*wait)(void *ctx, int64_t ms);
    void *ctx;
};

enum autoscale_can {
    AUTOSCALE_CAN_TERMINATE = 1,      /* whichever member is named */
    AUTOSCALE_CAN_TERMINATE_LAST = 2, /* only the newest of a numbered set */
    AUTOSCALE_CAN_ACT = 4             /* not set: says what it would do */
};

struct autoscale_actuator {
    const char *provider;                  /* "aws", "kubernetes", "dry-run", "local" */
    const struct autoscale_target *target; /* [targets], owned */
    size_t targets;

    unsigned (*can)(const struct autoscale_actuator *a, size_t target);
    /* All targets. since_ms (Unix epoch): failures before it are of earlier orders. An error
     * of one target is in out->target[i].code; PR_OK: at least one target answered, or there
     * is none. On an error every target in *out says so, ready for autoscale_settle. */
    enum pr_code (*describe)(struct autoscale_actuator *a, int64_t since_ms,
                             struct autoscale_report *out, struct pr_err *err);
    /* *sent: something was sent; false with PR_OK: already so. PR_EFULL: beyond the group's
     * own limits. With a lower n the provider chooses who goes: for members without data. */
    enum pr_code (*set_desired)(struct autoscale_actuator *a, size_t target, int n, bool *sent,
                                struct pr_err *err);
    /* Takes that member away for good, and wants desired_after from then on. PR_ECONFLICT:
     * the group wants neither desired_after nor one more, or the provider would take another
     * member: look again. */
    enum pr_code (*terminate)(struct autoscale_actuator *a, size_t target, const char *id,
                              int desired_after, bool *sent, struct pr_err *err);
    /* That marked member is to stay: it goes no sooner than others. NULL: none is ever marked. */
    enum pr_code (*keep)(struct autoscale_actuator *a, size_t target, const char *id,
                         struct pr_err *err);
    void (*close)(struct autoscale_actuator *a);
};

struct autoscale_provider {                /* settings */
    const char *kind;                      /* see autoscale_actuator_open */
    const struct autoscale_target *target; /* [targets], copied */
    size_t targets;
    struct autoscale_pace pace;
    const char *endpoint; /* NULL or "": the provider's own */
    const char *ca_file;  /* NULL: the system's; in Kubernetes the service account's */

    /* aws */
    const char *region;
    struct pr_aws_source keys;

    /* kubernetes */
    const char *space;      /* namespace */
    const char *owner;      /* on pods that are to go: marks of others are theirs; not "" */
    const char *token_file; /* NULL: the service account's; "": none is sent */

    /* local */
    const char *command; /* see io/actuators/local.h */

    /* dry-run: what is described; NULL: nothing is known. Taken over. */
    struct autoscale_actuator *beneath;
    void (*say)(void *ctx, const char *what); /* what it would do */
    void *say_ctx;
};

/* PR_EINVAL: names the setting that is wrong, or the kinds that there are. */
PR_CHECKED enum pr_code autoscale_actuator_open(const struct autoscale_provider *p,
                                                struct autoscale_actuator **out,
                                                struct pr_err *err);
void autoscale_actuator_close(struct autoscale_actuator *a); /* NULL is welcome */

/* The target of a zone and placement group; -1: none. */
int autoscale_target_find(const struct autoscale_target *t, size_t n, int zone, int group);
const char *autoscale_life_name(enum autoscale_life life);

PR_CHECKED enum pr_code autoscale_aws_open(const struct autoscale_provider *p,
                                           struct autoscale_actuator **out, struct pr_err *err);
PR_CHECKED enum pr_code autoscale_kubernetes_open(const struct autoscale_provider *p,
                                                  struct autoscale_actuator **out,
                                                  struct pr_err *err);
PR_CHECKED enum pr_code autoscale_dry_run_open(const struct autoscale_provider *p,
                                               struct autoscale_actuator **out, struct pr_err *err);

#endif
