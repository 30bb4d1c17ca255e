/* Is a request acceptable? Pure: values in, named field errors out; all of a
 * request's errors are reported together. How the values came (JSON, path,
 * header) is not known here. */
#ifndef METADATA_API_CHECK_H
#define METADATA_API_CHECK_H

#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { API_MAX_ERRORS = 20, API_MAX_BATCH = 1000 };

struct api_errors {
    struct {
        char field[96], detail[256];
    } e[API_MAX_ERRORS];
    size_t n;
    bool more; /* there were more than fit */
};
void api_error(struct api_errors *errs, const char *field, const char *fmt, ...) PR_PRINTF(3, 4);

/* Members that were absent or null are NULL, and numbers have a has_ flag. */
struct api_node_in {
    const char *id, *host, *zone; /* zone NULL: unknown yet */
    int64_t port;
};
void api_check_node(const struct api_node_in *in, struct api_errors *errs);
bool api_node_id_valid(const char *id);
/* "host:port,host:port", 1 to 32 of them in at most 1000 bytes: nodes of a cluster to begin with.
 */
void api_check_seeds(const char *field, const char *seeds, struct api_errors *errs);
void api_check_zone_id(const char *field, const char *id, struct api_errors *errs);

struct api_zone_in {
    const char *id, *subnet; /* subnet NULL: none */
    double capacity_ratio;
    bool has_capacity_ratio;
};
void api_check_zone(const struct api_zone_in *in, struct api_errors *errs);

struct api_run_in {
    const char *file, *format; /* format NULL: told by the file's name */
    const char *kind, *mode, *parts, *fixed_file;
    int64_t seed, seeds, move_cap;
    double imbalance, move_price;
    bool has_seed, has_seeds, has_imbalance, has_move_cap, has_move_price;
};
void api_check_run(const struct api_run_in *in, struct api_errors *errs);
enum { API_MAX_FIXED = 1000 };
/* A member of params.capacity and of params.fixed. */
void api_check_capacity(const char *zone, double ratio, struct api_errors *errs);
void api_check_fixed(const char *vertex, const char *zone, struct api_errors *errs);

struct api_plan_in {
    int64_t run_id, batch_vertices, workers;
    bool has_run_id, has_batch_vertices, has_workers;
};
void api_check_plan(const struct api_plan_in *in, struct api_errors *errs);

/* 1..255 printable bytes. */
bool api_idempotency_key_valid(const char *key);
bool api_uuid_valid(const char *text);
/* Decimal 0..max without sign, blanks or leading zeros. */
bool api_number_parse(const char *text, uint64_t max, uint64_t *out);

/* If-Match: "*", or a list of entity tags such as "\"12\", \"13-9fe0\"", of which what stands
 * before the dash counts: a change of the status alone spoils none. True when generation
 * matches; *well_formed is false when it is neither. */
bool api_etag_matches(const char *if_match, uint64_t generation, bool *well_formed);

/* cross_share -> crossShare; cut to cap - 1 bytes. */
void api_camel(const char *snake, char *out, size_t cap);

/* What a plan's state says about a verb. A plan that was approved and not yet
 * told to execute waits: its state is written API_WAITING here. */
#define API_WAITING "approved, not executed"
enum api_verb { API_EXECUTE, API_APPROVE, API_PAUSE, API_RESUME, API_CANCEL, API_VERB_COUNT };
enum api_effect {
    API_REFUSE,
    API_SET_STATE, /* plans.state := to */
    API_ASK_STOP   /* ask the running operation to stop; whoever runs it sets the state */
};
struct api_verdict {
    enum api_effect effect;
    const char *to; /* static; NULL unless API_SET_STATE */
};
struct api_verdict api_plan_verb(enum api_verb verb, const char *state);
/* "proposed" or "running or paused": the states in which a verb is accepted. */
void api_plan_verb_states(enum api_verb verb, char *out, size_t cap);

#endif
