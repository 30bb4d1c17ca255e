/* Reference client: finds a vertex wherever it is, while it moves. Pure: the
 * caller sends the commands and feeds the replies. One operation = one struct.
 * Source: docs/reference/data-plane.md, "Client". */
#ifndef PRISM_DP_CLIENT_H
#define PRISM_DP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

enum client_op { CLIENT_READ, CLIENT_WRITE, CLIENT_DELETE, CLIENT_CREATE };

enum client_cmd_kind {
    CLIENT_DO,        /* the operation itself at cmd.partition: read (HMGET _m ... or FCALL_RO
                         prism_neighbors), FCALL prism_write / prism_delete / prism_create */
    CLIENT_CLAIM,     /* FCALL prism_claim <home key> t (home == t: creates there). Replies OK
                         and LIVE are CLIENT_R_OK, DELETED is CLIENT_R_DELETED */
    CLIENT_WAIT_HOME, /* WAIT on the connection that executed the claim: CLIENT_R_OK when every
                         electable replica has it, else CLIENT_R_BROKEN */
    CLIENT_BACKOFF,   /* it is moving: pause (growing), then client_reply(c, CLIENT_R_OK, 0, 0) */
    CLIENT_END
};

struct client_cmd {
    enum client_cmd_kind kind;
    uint32_t partition;
    unsigned attempt;   /* BACKOFF: 1, 2, ... */
    bool existing_only; /* DO of a creation: add the word "existing" to
                           prism_create; an absent key may be one on its way */
};

enum client_result {
    CLIENT_R_OK,   /* done (LIVE) */
    CLIENT_R_STUB, /* partition:epoch */
    CLIENT_R_ABSENT,
    CLIENT_R_DELETED, /* tombstone */
    CLIENT_R_FULL,    /* VERTEX_FULL */
    CLIENT_R_BROKEN   /* no answer: reads retry; a write's effect is unknown */
};

enum client_outcome {
    CLIENT_RUNNING,
    CLIENT_DONE,
    CLIENT_NOT_FOUND, /* never existed, or claimed and not yet created, or deleted */
    CLIENT_FULL,
    CLIENT_UNKNOWN, /* a write whose answer was lost: may or may not have happened */
    CLIENT_GAVE_UP  /* still moving after max_backoffs */
};

struct client {
    uint32_t home, at, create_at; /* create_at: where a creation should live */
    uint64_t stub_epoch;          /* epoch that led to `at`; meaningful when followed */
    uint32_t backoffs, max_backoffs;
    uint8_t op, step, outcome, hops;
    bool cached, followed; /* at came from a cache; from a stub */
};

/* cached: where a cache says it is, or home when there is no entry. */
void client_init(struct client *c, enum client_op op, uint32_t home, uint32_t cached,
                 uint32_t create_at, uint32_t max_backoffs);
/* The same command until its reply is given. */
struct client_cmd client_next(const struct client *c);
void client_reply(struct client *c, enum client_result r, uint32_t partition, uint64_t epoch);
enum client_outcome client_outcome(const struct client *c);
/* After DONE: where it lives, for the caller's cache. */
uint32_t client_found_at(const struct client *c);

#endif
