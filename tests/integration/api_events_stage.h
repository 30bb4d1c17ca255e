/* A client that watches /v1/events, frame by frame. */
#ifndef API_EVENTS_STAGE_H
#define API_EVENTS_STAGE_H

#include "api_fixture.h"

enum { EVENTS_WAIT_MS = 10000 };

struct client {
    int fd;
    char *text; /* read and not taken yet */
    size_t len, cap;
    int status;
    char retry_after[16];
};

struct event {
    char id[64], kind[16], data[512];
};

/* query: "?watch=true"; headers: lines with their ends, or NULL; receive_bytes: of the socket's
 * buffer, 0: the system's. Reads the answer's head. */
void client_connect(struct client *c, const char *token, const char *query, const char *headers,
                    int receive_bytes);
void client_close(struct client *c);
/* More from the server; false when it has hung up or the time is over. */
bool client_read(struct client *c, int timeout_ms);
bool client_next(struct client *c, struct event *e, int timeout_ms); /* frame; false: none comes */
/* The next that is no bookmark, which is of this resource. */
void client_change(struct client *c, struct event *e, const char *resource);
void client_bookmark(struct client *c, struct event *e);
/* A watch that has heard where it is: all from before it began has been read. */
void client_watch(struct client *c, const char *query, const char *headers, struct event *e);
const char *client_last_id(const struct event *e); /* the header; static */
void client_zone(const char *id);                  /* a change: makes that zone */

#endif
