/* Cuts a Redis replication stream where it may be cut: after a whole command that is
 * not inside MULTI. Pure; keeps no payload.
 * An offset counts the bytes of the history, as Redis does: a replica that was told
 * +FULLRESYNC <id> 100 reads byte 101 first.
 * Source: Redis replication protocol (PSYNC), RESP2 arrays of bulk strings. */
#ifndef DR_STREAM_H
#define DR_STREAM_H

#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DR_STREAM_ARGS = 4, DR_STREAM_ARG = 64 };

/* One whole command, as far as anybody here looks at it. */
struct dr_command {
    uint64_t end; /* offset behind it */
    size_t argc;  /* of the whole command; 0: an empty line (a keep-alive), which is no command */
    size_t args;  /* kept: the first min(argc, DR_STREAM_ARGS) */
    char arg[DR_STREAM_ARGS][DR_STREAM_ARG]; /* [args], cut off and NUL-terminated */
    size_t len[DR_STREAM_ARGS];              /* whole length of each */
};

struct dr_stream {
    uint64_t offset;   /* of the bytes fed so far */
    uint64_t boundary; /* the last offset where the stream may be cut, <= offset */
    uint64_t commands; /* whole ones since init, MULTI and EXEC included */
    bool in_multi;
    int db; /* selected; a cluster knows only 0 */
    /* the parser's own */
    unsigned state;
    uint64_t left; /* bytes of the argument that are still to come */
    size_t arg;    /* whole arguments of the command so far */
    uint64_t number;
    unsigned digits;
    struct dr_command now;
};

/* The next byte fed follows `offset`. */
void dr_stream_init(struct dr_stream *s, uint64_t offset);

/* Feeds n bytes; `each` (NULL: nobody looks) gets every command that they complete, after
 * offset, boundary, commands, in_multi and db are those behind it. Any division of the same bytes
 * gives the same commands and boundaries.
 * PR_EDATA: the bytes are no replication stream (MULTI inside MULTI and EXEC without MULTI
 * included: the offset was none to begin at); err names the offset; boundary stays valid, further
 * bytes are refused. */
PR_CHECKED enum pr_code dr_stream_feed(struct dr_stream *s, const void *data, size_t n,
                                       void (*each)(void *ctx, const struct dr_command *c),
                                       void *ctx, struct pr_err *err);

/* "REPLCONF GETACK *": the source wants our offset at once. */
bool dr_command_asks_ack(const struct dr_command *c);

#endif
