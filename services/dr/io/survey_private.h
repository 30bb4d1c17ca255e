/* Between survey.c and survey_keep.c. */
#ifndef DR_SURVEY_PRIVATE_H
#define DR_SURVEY_PRIVATE_H

#include "io/survey.h"

/* A copy, with its id [id_len] or key [key_len] kept in s->text. */
PR_CHECKED enum pr_code dr_survey_keep_found(struct dr_survey *s, const struct dr_found *f,
                                             const char *id, struct pr_err *err);
PR_CHECKED enum pr_code dr_survey_keep_stray(struct dr_survey *s, const struct dr_stray *t,
                                             const char *key, struct pr_err *err);

#endif
