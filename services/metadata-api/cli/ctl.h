/* prismctl: the REST API from a shell. Inside: one call, one printer, and a
 * table of commands. */
#ifndef PRISMCTL_CTL_H
#define PRISMCTL_CTL_H

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum ctl_exit {
    CTL_OK = 0,
    CTL_FAILED = 1,  /* the operation failed, or the API did */
    CTL_USAGE = 2,   /* the command line, or the request, is wrong */
    CTL_CONNECT = 3, /* nobody answers, or the API cannot reach what it needs */
    CTL_DENIED = 4,  /* 401 or 403 */
    CTL_NOT_FOUND = 5,
    CTL_CONFLICT = 6,     /* 409, 412 or 428 */
    CTL_INTERRUPTED = 130 /* by Ctrl-C; what was started goes on */
};

struct ctl {
    char *url;        /* owned */
    char *token;      /* owned; NULL: none */
    char *ca;         /* file of the CA to trust; owned; NULL: the system's */
    char *cert, *key; /* files of our own certificate and its key; owned; NULL: none */
    bool json;        /* -o json or yaml: for programs */
    bool dry;         /* --dry-run: every change asks what would be, and changes nothing */
    CURL *curl;
};

/* What holds for every command, as the help and the manual page show it. */
struct ctl_note {
    const char *name, *value, *help;
};
struct ctl_exit_note {
    int code;
    const char *help;
};
extern const struct ctl_note ctl_globals[], ctl_environment[];
extern const size_t ctl_global_count, ctl_environment_count;
extern const struct ctl_exit_note ctl_exits[];
extern const size_t ctl_exit_count;

/* An option of a command: "--zone ZONE" when value is named, else a flag. */
struct ctl_option {
    const char *name, *value; /* "zone", "ZONE" or NULL */
};
enum { CTL_MAX_OPTIONS = 20, CTL_MAX_ARGS = 1024, CTL_MAX_GIVEN = 256 };

/* A parsed command line. */
struct ctl_line {
    const struct ctl_command *command;
    const char *arg[CTL_MAX_ARGS]; /* positional */
    size_t n_args;
    const char *option[CTL_MAX_OPTIONS]; /* by the command's table; NULL: not given */
    struct {
        size_t option;
        const char *value;
    } given[CTL_MAX_GIVEN]; /* every option with a value, in order; for those that repeat */
    size_t n_given;
};

struct ctl_command {
    const char *group, *verb; /* verb NULL: the group is the command */
    const char *args;         /* "ID ZONE", for the usage line */
    size_t min_args, max_args;
    struct ctl_option option[CTL_MAX_OPTIONS];
    int (*run)(struct ctl *ctl, const struct ctl_line *line);
    const char *help;
};
extern const struct ctl_command ctl_commands[];
extern const size_t ctl_command_count;
/* Value of an option ("" for a given flag), NULL when not given. */
const char *ctl_opt(const struct ctl_line *line, const char *name);
/* Appends each value of a repeated option to a JSON array; split: values hold
 * several, separated by commas. */
void ctl_opt_all(const struct ctl_line *line, const char *name, bool split, json_t *into);

/* --- calls --------------------------------------------------------------- */
struct ctl_reply {
    long status;   /* HTTP */
    json_t *body;  /* owned; NULL when there was none */
    char etag[64]; /* "" when there was none */
    char error[512];
};
/* As if_match: there must be none yet (If-None-Match: *). */
extern const char ctl_if_new[];
/* Takes over body (may be NULL). Mutations carry an Idempotency-Key and are
 * tried again when the answer was lost. Returns an exit code; error holds the
 * words when it is not CTL_OK. The caller calls ctl_reply_done. */
int ctl_call(struct ctl *ctl, const char *method, const char *path, json_t *body,
             const char *if_match, struct ctl_reply *r);
void ctl_reply_done(struct ctl_reply *r);
/* As ctl_call, and prints the error. */
int ctl_must(struct ctl *ctl, const char *method, const char *path, json_t *body,
             const char *if_match, struct ctl_reply *r);
/* All pages of a list, at most limit items (0: all): {"items": [...]}. query:
 * "zone=a&" or "". */
int ctl_list(struct ctl *ctl, const char *path, const char *query, size_t limit, json_t **out);
/* name=value& percent-encoded onto query; nothing when value is NULL. */
void ctl_query(char *query, size_t cap, const char *name, const char *value);
void ctl_escape(char *out, size_t cap, const char *segment);
/* The exit status for an HTTP status. */
int ctl_exit_of(long status);
/* With one more header, of any length; as it was without memory. */
struct curl_slist *ctl_header(struct curl_slist *h, const char *name, const char *value);
struct curl_slist *ctl_bearer(struct curl_slist *h, const struct ctl *ctl); /* our token, if any */
/* What every connection of curl has: the CA, and our own certificate. */
void ctl_connection(const struct ctl *ctl, CURL *curl);
/* Where the API is, and what it knows us by besides a token; all owned, or NULL. */
struct ctl_target {
    char *url, *token_file, *ca, *cert, *key;
};
/* A context's values for what is still NULL; its token only for its own URL. name NULL: the current
 * one, if any. */
int ctl_context_apply(const char *name, struct ctl_target *t);
int ctl_complain(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- printing ------------------------------------------------------------ */
struct ctl_column {
    const char *title, *member;
};
/* -o json: the JSON as it is; else a table of {"items": [...]}. */
void ctl_print_list(const struct ctl *ctl, const json_t *list, const struct ctl_column *col,
                    size_t n);
/* -o json: as it is; else one "name  value" line a member, nested as a.b. */
void ctl_print(const struct ctl *ctl, const json_t *object);
/* One "name  value" line, of the columns of a plan; nothing for "". */
void ctl_print_line(const char *name, const char *value);
/* With as few digits as bring the same numbers back; free it. */
char *ctl_json_text(const json_t *j, size_t flags);
/* As -o says: JSON, or YAML after ctl_print_as_yaml. */
void ctl_print_json(const json_t *j);
void ctl_print_as_yaml(bool yes);
/* One of a sequence without an end: a line of JSON, or a document of YAML. */
void ctl_print_item(const json_t *j);
void ctl_yaml_write(const json_t *j);

void ctl_bytes_text(char *out, size_t cap, double bytes);      /* "1.3 GB" */
void ctl_duration_text(char *out, size_t cap, double seconds); /* "4 min" */

/* Follows an operation to its end, with a progress bar on a terminal, lines
 * otherwise, nothing with -o json. CTL_FAILED unless it ends in "done", and when
 * the plan that it carries out is stuck. Ctrl-C: CTL_INTERRUPTED, after saying
 * how to follow or cancel it. */
int ctl_wait(struct ctl *ctl, const char *operation_id);
/* Calls look twice a second until it returns false; false: Ctrl-C came first. */
bool ctl_repeat(bool (*look)(void *ctx), void *ctx);

/* --- what commands share (work.c) ----------------------------------------- */
/* --option as a number into a member; nothing when it was not given. */
int ctl_number_option(const struct ctl_line *line, const char *option, json_t *into,
                      const char *member, bool real);
void ctl_text_option(const struct ctl_line *line, const char *option, json_t *into,
                     const char *member);
void ctl_flag_option(const struct ctl_line *line, const char *option, json_t *into,
                     const char *member);
/* prefix/id + suffix, the id escaped. */
void ctl_path(char *out, size_t cap, const char *prefix, const char *id, const char *suffix);
int ctl_show(struct ctl *ctl, const char *path);
/* At most --limit items (20), as a table. */
int ctl_show_list(struct ctl *ctl, const struct ctl_line *line, const char *path, const char *query,
                  const struct ctl_column *columns, size_t n);
/* "2026-11-21T10:05:00Z" as it is, "6h" (s, m, h, d) as that long ago, onto query. */
int ctl_time_option(const struct ctl_line *line, const char *option, const char *name, char *query,
                    size_t cap);
int ctl_time_text(const char *option, const char *given, char out[40]);
int ctl_time_ahead(const char *option, const char *given, char out[40]); /* "6h": in six hours */
/* Sends a change and prints the answer. */
int ctl_submit(struct ctl *ctl, const char *method, const char *path, json_t *body,
               const char *if_match);
/* The same to a resource as it is now: its ETag is read first. */
int ctl_change(struct ctl *ctl, const char *method, const char *path, json_t *body);
/* Whether somebody wants it: --yes, a dry run, or y on a terminal. Else *code is what to exit
 * with: CTL_USAGE where nobody can be asked, CTL_OK after a no. */
bool ctl_consent(const struct ctl *ctl, const struct ctl_line *line, int *code, const char *fmt,
                 ...) __attribute__((format(printf, 4, 5)));
/* Asks y or N on a terminal. */
bool ctl_ask(const char *question);
/* Starts long work. With --wait follows it, then shows the resource as it is at
 * the end, whatever the end. */
int ctl_start(struct ctl *ctl, const struct ctl_line *line, const char *path, json_t *body,
              const char *if_match, const char *collection, const char *operation_member);
/* params of a fleet plan from its options. */
int ctl_fleet_params(const struct ctl_line *line, json_t *params);
/* A plan as people read it; -o json: as it is. */
void ctl_print_plan(const struct ctl *ctl, const json_t *plan);
/* The same of one that was shown before it ran: only how it went. */
void ctl_print_plan_end(const struct ctl *ctl, const json_t *plan);

/* --- commands, by file --------------------------------------------------- */
typedef int ctl_run_fn(struct ctl *, const struct ctl_line *);
ctl_run_fn ctl_vertex_get, ctl_vertex_batch, ctl_partition_list, ctl_partition_get;
ctl_run_fn ctl_node_list, ctl_node_register, ctl_node_get, ctl_node_set_zone, ctl_node_delete;
ctl_run_fn ctl_zone_list, ctl_zone_get, ctl_zone_create, ctl_zone_set, ctl_topology;
ctl_run_fn ctl_placement_run, ctl_placement_list, ctl_placement_show, ctl_explain;
ctl_run_fn ctl_placement_report, ctl_hint_list, ctl_hint_suggest;
ctl_run_fn ctl_plan_create, ctl_plan_list, ctl_plan_show, ctl_plan_watch, ctl_plan_execute;
ctl_run_fn ctl_plan_pause;
ctl_run_fn ctl_plan_resume, ctl_plan_cancel, ctl_plan_approve, ctl_plan_steps, ctl_plan_moves,
    ctl_plan_explain;
ctl_run_fn ctl_node_join, ctl_node_drain, ctl_node_replace;
ctl_run_fn ctl_rebalance_stop, ctl_rebalance_start, ctl_policy_show, ctl_policy_set;
ctl_run_fn ctl_pin_list, ctl_pin_show, ctl_pin_add, ctl_pin_delete;
ctl_run_fn ctl_fleet_list, ctl_fleet_get, ctl_fleet_set, ctl_fleet_enable, ctl_fleet_disable;
ctl_run_fn ctl_fleet_history, ctl_fleet_samples, ctl_fleet_simulate;
ctl_run_fn ctl_decision_list, ctl_decision_show, ctl_decision_explain, ctl_decision_input;
ctl_run_fn ctl_decision_replay;
ctl_run_fn ctl_generation_list, ctl_restore_list, ctl_coordination;
ctl_run_fn ctl_dr_status, ctl_dr_lag, ctl_drill, ctl_drill_list, ctl_dr_zones, ctl_failover;
ctl_run_fn ctl_dr_restore;
ctl_run_fn ctl_operation_list, ctl_operation_show, ctl_operation_wait, ctl_operation_cancel;
ctl_run_fn ctl_token_list, ctl_token_show, ctl_token_create, ctl_token_revoke;
ctl_run_fn ctl_audit, ctl_whoami, ctl_costs, ctl_version, ctl_completion, ctl_man, ctl_events;
ctl_run_fn ctl_cost;
ctl_run_fn ctl_context_list, ctl_context_set, ctl_context_use, ctl_context_delete;
/* --watch of any command: again at every change of what it shows, until it fails. */
ctl_run_fn ctl_watch;

#endif
