/* Text files of a few words a line, plain or compressed (told by the first
 * bytes); blank lines and those that begin with '#' or '%' are comments. */
#ifndef PRISM_GRAPH_TEXT_H
#define PRISM_GRAPH_TEXT_H

#include "prism/err.h"

#include <stddef.h>

enum { GRAPH_TEXT_WORDS = 8 };

/* words: as many as the line has, the first GRAPH_TEXT_WORDS of them given;
 * valid during the call only. Anything but PR_OK ends the reading with it. */
typedef enum pr_code graph_text_sink(void *ctx, const char *const *word, size_t words,
                                     struct pr_err *err);

/* What the sink says is wrong is told with file and line. PR_EDATA: a zero byte,
 * or a damaged file; other errors as graph_read_each. A file without a line is
 * none. */
PR_CHECKED enum pr_code graph_text_each(const char *path, graph_text_sink *sink, void *ctx,
                                        struct pr_err *err);

#endif
