/* Settings come from the environment, or from the file named by NAME_FILE
 * (secrets). One table per service (config.def); every bad setting is named,
 * all together. --print-config and docs/reference/settings.md come from the
 * same tables.
 *
 * A config.def holds rows
 *   CONFIG(field, type, "PRISM_NAME", "default" or NULL (required), min, max, flags, "unit",
 * "help") with type STR, INT, REAL or BOOL; min/max bound a number, or the length of a string. */
#ifndef PRISM_IO_CONFIG_H
#define PRISM_IO_CONFIG_H

#include "prism/buf.h"
#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum pr_cfg_type { PR_CFG_STR, PR_CFG_INT, PR_CFG_REAL, PR_CFG_BOOL };
enum { PR_CFG_SECRET = 1 }; /* never printed */

typedef char *pr_cfg_STR; /* owned by the struct; pr_config_free frees it */
typedef int64_t pr_cfg_INT;
typedef double pr_cfg_REAL;
typedef bool pr_cfg_BOOL;

struct pr_cfg_row {
    const char *name, *dflt, *unit, *help;
    enum pr_cfg_type type;
    size_t offset; /* of the field in the settings struct */
    double min, max;
    unsigned flags;
};

/* struct members:  #define CONFIG(...) PR_CFG_FIELD(__VA_ARGS__)
 * table rows:      #define CONFIG(...) PR_CFG_ROW(struct my_config, __VA_ARGS__) */
#define PR_CFG_FIELD(field, t, name, dflt, lo, hi, fl, unit, help) pr_cfg_##t field;
#define PR_CFG_ROW(S, field, t, nm, df, lo, hi, fl, un, he)                                        \
    { .name = nm,                                                                                  \
      .dflt = df,                                                                                  \
      .unit = un,                                                                                  \
      .help = he,                                                                                  \
      .type = PR_CFG_##t,                                                                          \
      .offset = offsetof(S, field),                                                                \
      .min = lo,                                                                                   \
      .max = hi,                                                                                   \
      .flags = fl },

/* Fills the settings struct at out (which must be zeroed). On PR_EINVAL every
 * problem is one line in *problems. get: getenv, or a test's own. */
PR_CHECKED enum pr_code pr_config_load(const struct pr_cfg_row *rows, size_t n, void *out,
                                       char *(*get)(const char *), struct pr_buf *problems);
void pr_config_free(const struct pr_cfg_row *rows, size_t n, void *cfg);
/* NAME=value lines with unit and help as comments; secrets as "(set)"/"(unset)". */
void pr_config_print(const struct pr_cfg_row *rows, size_t n, const void *cfg, FILE *to);

#endif
