/* Requests that no client would send, the same ones for the same seed. */
#ifndef API_FUZZ_MAKE_H
#define API_FUZZ_MAKE_H

#include "api.h"
#include "api_page.h"

struct fuzz_request {
    struct pr_buf bytes;
    char method[32];
    bool framed; /* as HTTP says: then the answer is whole, and ours */
    /* The route that its method and path are of; NULL: not known. */
    const struct pr_http_route *route;
    enum api_role role; /* the most that its token may be; API_NOBODY: it has no good one */
    size_t number;
};

struct fuzz_list {
    const char *path, *list; /* list: its name in page tokens */
};
extern const struct fuzz_list fuzz_lists[];
extern const char *const fuzz_cursors[]; /* what a cursor may not be */
extern const size_t fuzz_list_count, fuzz_cursor_count;

void fuzz_begin(uint64_t seed, const struct api_spec *description);
/* A good token of an administrator, borrowed, for others to be made from. */
void fuzz_jwt_from(const char *jwt);
/* The next one, into r->bytes, which is initialised and empty. */
void fuzz_make(struct fuzz_request *r);
/* A page token that is well formed, and of something that no list ever handed out. filters: 0..8 */
void fuzz_forge(char token[API_TOKEN_MAX], const char *list, unsigned filters, const char *cursor);

/* --- what the makers share ---------------------------------------------------------- */
size_t fuzz_below(size_t n); /* 0..n-1 */
#define FUZZ_ONE_IN(n) (fuzz_below(n) == 0)
#define FUZZ_ANY(a)    ((a)[fuzz_below(PR_COUNT(a))])
void fuzz_noise(struct pr_buf *b, size_t n);
void fuzz_many(struct pr_buf *b, const char *text, size_t times);
void fuzz_body(struct pr_buf *b, const struct pr_http_route *route);
void fuzz_bent(struct pr_buf *b, const char *json); /* right but for one place */
/* A header Authorization, or none; the most that it may be good for. */
enum api_role fuzz_authorization(struct pr_buf *b);

#endif
