#include "json/json.h"

char *autoscale_json_text(json_t *o, bool for_people)
{
    const size_t how = (for_people ? JSON_INDENT(2) : JSON_COMPACT) | JSON_REAL_PRECISION(17);
    char *text = o == NULL ? NULL : json_dumps(o, how);
    json_decref(o);
    return text;
}

enum pr_code autoscale_json_parse(const char *text, size_t bytes, json_t **out, struct pr_err *err)
{
    json_error_t why;
    *out = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &why);
    if (*out == NULL)
        return pr_fail(err, PR_EINVAL, "line %d, column %d: %.160s", why.line, why.column,
                       why.text);
    return PR_OK;
}
