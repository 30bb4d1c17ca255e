/* A file being written, compressed when its name ends in .xz, .gz or .zst. It
 * appears under its name only when it is whole: until then it has another name
 * beside it (devices and pipes are written directly). */
#ifndef PRISM_GRAPH_OUT_H
#define PRISM_GRAPH_OUT_H

#include "prism/err.h"

#include <stddef.h>

struct graph_out;

/* PR_ENOTFOUND/PR_EDENIED: the directory; PR_EINVAL: path is a directory;
 * PR_EUNAVAIL: other errors of the file system; PR_EFULL: disk full or quota. */
PR_CHECKED enum pr_code graph_out_open(const char *path, struct graph_out **out,
                                       struct pr_err *err);
/* Room for n more bytes (n <= GRAPH_OUT_ROOM) in *at: fill it, then graph_out_wrote. */
enum { GRAPH_OUT_ROOM = 4096 };
PR_CHECKED enum pr_code graph_out_room(struct graph_out *o, size_t n, char **at,
                                       struct pr_err *err);
void graph_out_wrote(struct graph_out *o, const char *end);
PR_CHECKED enum pr_code graph_out_put(struct graph_out *o, const void *bytes, size_t n,
                                      struct pr_err *err);
/* Writes the rest and gives the file its name. Frees o either way; on failure
 * nothing is left behind, and a file of that name stays as it was. */
PR_CHECKED enum pr_code graph_out_close(struct graph_out *o, struct pr_err *err);
void graph_out_abort(struct graph_out *o); /* as if never opened; NULL is fine */

#endif
