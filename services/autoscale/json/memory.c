/* What policies remember. Each says which policy it is of and by which version it was written:
 * nobody guesses what an older one meant. */
#include "json/json.h"

#include "json/tables.h"

#include <string.h>

/* Differences of two of them do not overflow. */
#define TIME_MS .kind = FIELD_I64, .lo = -4e18, .hi = 4e18

#define E(member) F(struct autoscale_hpa_entry, member)
static const struct field entry_rows[] = {
    { E(at_ms), TIME_MS, .flags = FIELD_NEEDED },
    { E(value), .kind = FIELD_I32, .flags = FIELD_NEEDED },
    { E(outdated), .kind = FIELD_I32, .flags = FIELD_OMIT_ZERO },
};
static const struct field_table entry_fields =
    FIELD_TABLE(entry_rows, struct autoscale_hpa_entry, NULL);

#define M(member) F(struct autoscale_memory, member)
#define LOG(title, log, number, most)                                                              \
    {                                                                                              \
        .name = title, .kind = FIELD_ARRAY, .at = offsetof(struct autoscale_memory, hpa.log),      \
        .cap = most, .count = offsetof(struct autoscale_memory, hpa.number),                       \
        .count_is = COUNT_I32, .of = &entry_fields                                                 \
    }
static const struct field hpa_rows[] = {
    LOG("recommendations", recommendation, recommendations, AUTOSCALE_HPA_RECOMMENDATIONS),
    LOG("up", up, ups, AUTOSCALE_HPA_EVENTS),
    LOG("down", down, downs, AUTOSCALE_HPA_EVENTS),
    { .name = "seen_ms", TIME_MS, .at = offsetof(struct autoscale_memory, hpa.seen_ms) },
    { .name = "begun", .kind = FIELD_I32, .at = offsetof(struct autoscale_memory, hpa.begun) },
};
static const struct field_table hpa_fields = FIELD_TABLE(hpa_rows, struct autoscale_memory, NULL);

static const struct field target_rows[] = {
    { .name = "high_since_ms",
      .kind = FIELD_I64S,
      .lo = -4e18,
      .hi = 4e18,
      .at = offsetof(struct autoscale_memory, target.high_since_ms),
      .cap = AUTOSCALE_TRACKERS },
    { .name = "low_since_ms",
      .kind = FIELD_I64S,
      .lo = -4e18,
      .hi = 4e18,
      .at = offsetof(struct autoscale_memory, target.low_since_ms),
      .cap = AUTOSCALE_TRACKERS },
};
static const struct field_table target_fields =
    FIELD_TABLE(target_rows, struct autoscale_memory, NULL);

static const struct field adaptive_rows[] = {
    { .name = "",
      .kind = FIELD_WITHIN,
      .at = offsetof(struct autoscale_memory, adaptive),
      .of = &autoscale_adaptive_memory_fields },
};
static const struct field_table adaptive_fields =
    FIELD_TABLE(adaptive_rows, struct autoscale_memory, NULL);

static const struct field_table no_fields = { NULL, 0, sizeof(struct autoscale_memory), NULL };

static const struct field_table *const fields[AUTOSCALE_KINDS] = {
    [AUTOSCALE_RULES] = &no_fields,          [AUTOSCALE_STEP] = &no_fields,
    [AUTOSCALE_TARGET] = &target_fields,     [AUTOSCALE_HPA] = &hpa_fields,
    [AUTOSCALE_ADAPTIVE] = &adaptive_fields, [AUTOSCALE_QUEUE] = &no_fields,
};

/* The first policy of that name that has no memory yet. */
static size_t whose(const struct autoscale_settings *s, const char *name, const bool *has)
{
    size_t i = 0;
    while (i < s->policies && (has[i] || strcmp(autoscale_kind_name(s->policy[i].kind), name) != 0))
        i++;
    return i;
}

static enum pr_code read_one(struct field_ctx *c, const json_t *o,
                             const struct autoscale_settings *s, struct autoscale_memory *memory,
                             bool *has)
{
    const char *name = json_string_value(json_object_get(o, "policy"));
    if (name == NULL)
        return field_bad(c, "want an object with \"policy\", the name of its kind");
    const size_t i = whose(s, name, has);
    if (i == s->policies)
        return field_bad(c, "is of a policy \"%.20s\" that the settings lack", name);
    has[i] = true;
    const json_t *version = json_object_get(o, "version");
    if (json_integer_value(version) != AUTOSCALE_MEMORY_VERSION)
        return field_bad(c, "was not written by version %d: begin with an empty memory",
                         AUTOSCALE_MEMORY_VERSION);
    json_t *rest = json_copy((json_t *)(uintptr_t)o);
    if (rest == NULL)
        return pr_fail(c->err, PR_ENOMEM, "what a policy remembers");
    (void)json_object_del(rest, "version");
    const enum pr_code rc = fields_read(c, fields[s->policy[i].kind], rest, "policy", &memory[i]);
    json_decref(rest);
    return rc;
}

enum pr_code autoscale_memory_read(struct field_ctx *c, const json_t *o,
                                   const struct autoscale_settings *s,
                                   struct autoscale_memory *memory)
{
    bool has[AUTOSCALE_POLICIES] = { false };
    memset(memory, 0, s->policies * sizeof *memory);
    if (!json_is_array(o))
        return field_bad(c, "want an array: what each policy remembers");
    for (size_t i = 0; i < json_array_size(o); i++) {
        const size_t at = field_enter(c, NULL, i);
        const enum pr_code rc = read_one(c, json_array_get(o, i), s, memory, has);
        if (rc != PR_OK)
            return rc;
        field_leave(c, at);
    }
    return PR_OK;
}

enum pr_code autoscale_json_memory_read(const json_t *o, const struct autoscale_settings *settings,
                                        struct autoscale_memory *memory, struct pr_err *err)
{
    struct field_ctx c = { .err = err };
    (void)field_enter(&c, "memory", 0);
    return autoscale_memory_read(&c, o, settings, memory);
}

static json_t *write_one(const struct autoscale_policy *p, const struct autoscale_memory *memory)
{
    json_t *o = json_pack("{s:s, s:i}", "policy", autoscale_kind_name(p->kind), "version",
                          AUTOSCALE_MEMORY_VERSION);
    if (o == NULL || fields_add(NULL, fields[p->kind], memory, o))
        return o;
    json_decref(o);
    return NULL;
}

json_t *autoscale_json_memory_write(const struct autoscale_settings *s,
                                    const struct autoscale_memory *memory)
{
    json_t *array = json_array();
    for (size_t i = 0; array != NULL && i < s->policies; i++)
        if (json_array_append_new(array, write_one(&s->policy[i], &memory[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}
