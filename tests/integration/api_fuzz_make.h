/* Requests that no client would send, the same ones for the same seed. */
#ifndef API_FUZZ_MAKE_H
#define API_FUZZ_MAKE_H

#include "api.h"
#include "api_page.h"

struct fuzz_request {
    struct pr_buf bytes;
    char method[32];
    bool framed; /* as HTTP says: then the answer is whole, and ours */
    size_t number;
};

struct fuzz_list {
    const char *path, *list; /* list: its name in page tokens */
};
extern const struct fuzz_list fuzz_lists[];
extern const char *const fuzz_cursors[]; /* what a cursor may not be */
extern const size_t fuzz_list_count, fuzz_cursor_count;

void fuzz_begin(uint64_t seed, const struct api_spec *description);
/* The next one, into r->bytes, which is initialised and empty. */
void fuzz_make(struct fuzz_request *r);
/* A page token that is well formed, and of something that no list ever handed out. filters: 0..8 */
void fuzz_forge(char token[API_TOKEN_MAX], const char *list, unsigned filters, const char *cursor);

#endif
