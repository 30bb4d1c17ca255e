/* An HTTP proxy for tests: stands before one server, passes everything on, and does wrong what
 * its rules say. It reads whole messages, so that it knows what it cuts. */
#ifndef FAULTPROXY_H
#define FAULTPROXY_H

#include "prism/buf.h"
#include "prism/map.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* --- rules.c ------------------------------------------------------------------------------ */

enum fault {
    PASS,
    /* the server never sees the request */
    SLOWDOWN, /* 503 SlowDown */
    ERROR,    /* 500 InternalError */
    ERROR200, /* 200 with an error for a body */
    RESET,    /* the connection is reset */
    STALL,    /* no answer; the client's body is read */
    DEAF,     /* the client's body is not read either */
    /* the server has done it */
    LOST,     /* reset in place of the answer */
    DONE503,  /* 503 in place of the answer */
    SILENCE,  /* no answer, the connection stays */
    TRUNCATE, /* the body ends after at bytes (half of it), then the connection closes */
    HANG,     /* the body stops there, the connection stays */
    SLOW,     /* the body drips, bps bytes a second */
    RANGE,    /* another Content-Range than was asked for; at=0: its beginning alone */
    WHOLE,    /* the range is ignored: 200 */
    CORRUPT,  /* one bit of the body is another */
    ETAG,     /* another ETag */
    GARBLE,   /* one bit of the client's body is another, before the server sees it */
    FAULTS
};
const char *fault_name(enum fault f);

enum { RULES = 64, TEXT = 128 };

struct rule {
    enum fault fault[FAULTS]; /* one of these, by chance */
    size_t faults;
    char method[16], path[TEXT], query[TEXT]; /* "": any; path and query: a part of it */
    unsigned first, times; /* from the first-th that matches, so many; times 0: all */
    double share;          /* of those, by chance */
    uint64_t seed;
    size_t at;   /* bytes; SIZE_MAX: half */
    unsigned ms; /* that a stall lasts at most */
    unsigned bps;
    pid_t pid; /* > 0: gets a signal */
    int signal;
    char touch[TEXT]; /* made; "": nothing */
    bool after;       /* pid and touch: once the server has answered */
    unsigned matched, hit;
};

struct rules {
    struct rule rule[RULES];
    size_t n;
    struct pr_map seen; /* hash of method and path -> how often */
};

/* Lines of: FAULT[,FAULT...] name=value..., # begins a comment. "": all right, else what is
 * wrong. */
const char *rules_parse(struct rules *r, char *text);
void rules_done(struct rules *r);

struct verdict {
    enum fault fault;
    struct rule rule; /* that it comes from */
    uint64_t chance;
};
/* The first rule that applies. What chance decides depends on the seed, the method, the path
 * and how often that was asked for, not on the order of connections. */
struct verdict rules_judge(struct rules *r, const char *method, const char *path,
                           const char *query);

/* --- http.c ------------------------------------------------------------------------------- */

struct message {
    struct pr_buf head; /* with its empty line; NUL-terminated */
    struct pr_buf body;
    char method[16], path[2048], query[2048]; /* of a request */
    int status;                               /* of an answer */
    bool close;                               /* the connection ends with it */
};

void message_init(struct message *m);
void message_done(struct message *m);
/* False: the connection ended, or it is no HTTP. */
bool read_head(int fd, struct message *m, bool request);
/* bodiless: an answer to HEAD. Chunks are joined, and head says the length then. */
bool read_body(int fd, struct message *m, bool bodiless);
bool send_all(int fd, const void *p, size_t n);
/* The value of a header, blanks cut; false: there is none. */
bool header_get(const struct message *m, const char *name, char *out, size_t room);
/* Takes it away; value not NULL: and puts another there. */
void header_set(struct message *m, const char *name, const char *value);
/* An answer made here; to HEAD, it has no body. */
void message_say(struct message *m, const struct message *q, int status, const char *type,
                 const char *body);
void reset(int fd); /* closes so that the other side sees a reset */
/* Until the other side closes, or the time is up. */
void linger(int fd, unsigned ms);

/* --- serve.c ------------------------------------------------------------------------------ */

struct proxy {
    int upstream_port;
    pthread_mutex_t mutex; /* of what follows */
    struct rules rules;
    struct pr_buf log;
    unsigned requests;
};

struct peer {
    struct proxy *proxy;
    int client, server; /* server -1: not connected */
    bool abrupt;        /* the client's connection ends with a reset */
};
/* A client's connection, to its end. Requests below /.faults are for the proxy itself:
 * PUT sets rules and empties the log, GET answers with the log. */
void serve(struct peer *p);

#endif
