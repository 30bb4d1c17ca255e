/* HTTP by the byte, for requests that no client library would send. */
#ifndef API_WIRE_H
#define API_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WIRE_BYTES = 4 << 20 }; /* of an answer that are kept */

struct wire_answer {
    char *text;       /* [len], NUL-terminated: head and body; owned */
    const char *body; /* in text */
    size_t len;
    int status; /* 0: there was no whole head */
    char type[64];
    bool late; /* nothing more came in time, and the connection is still open */
};

int64_t wire_now_ms(void);
int wire_connect(int port); /* of this machine; -1 */
/* False: the other side has closed. */
bool wire_send(int fd, const void *data, size_t n);
/* Reads one answer (of a stream of events its head). head: of a HEAD request. False: it was not
 * whole when the other side closed or the time was up. */
bool wire_read(int fd, struct wire_answer *a, bool head, int timeout_ms);
void wire_done(struct wire_answer *a);

#endif
