#include "report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static json_t *outcome_json(const struct bench_outcome *o)
{
    char hash[24];
    snprintf(hash, sizeof hash, "%016" PRIx64, o->hash);
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:s, s:f, s:f, s:f, s:f, s:f, s:I}",
                     "load_s", o->load_s, "work_s", o->work_s, "cpu_s", o->cpu_s, "cut_ratio",
                     o->cut_ratio, "imbalance", o->imbalance, "modularity", o->modularity,
                     "communities", (json_int_t)o->communities, "hash", hash, "fresh_s", o->fresh_s,
                     "fresh_ratio", o->fresh_ratio, "today_ratio", o->today_ratio, "moved_ratio",
                     o->moved_ratio, "fresh_moved_ratio", o->fresh_moved_ratio, "peak_bytes",
                     (json_int_t)o->peak_bytes);
}

static json_t *contender_json(const struct contender *c)
{
    json_t *runs = json_array();
    for (unsigned i = 0; i < c->runs; i++)
        json_array_append_new(runs, outcome_json(&c->outcome[i]));
    const struct bench_outcome none = { 0 }, *o = c->runs > 0 ? &c->outcome[0] : &none;
    return json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:s, s:b, s:o}", "graph",
                     c->graph->name, "row", bench_row_name[c->row], "who", c->who, "peer", c->peer,
                     "vertices", (json_int_t)o->vertices, "edges", (json_int_t)o->edges, "blocks",
                     (json_int_t)c->task.blocks, "threads", (json_int_t)c->task.threads, "tries",
                     (json_int_t)c->task.tries, "variant", bench_variant_name[c->task.variant],
                     "coded", c->task.coded, "runs", runs);
}

static json_t *verdict_json(const struct verdict *v)
{
    return json_pack("{s:s, s:s, s:s?, s:s, s:s?, s:s}", "what", v->what, "measured", v->measured,
                     "must", v->must, "must_is", judged_name[v->must_is], "aim", v->aim, "aim_is",
                     judged_name[v->aim_is]);
}

enum pr_code report_json(const char *path, const struct plan *p, const struct plan_options *o,
                         const struct verdict *v, unsigned n, struct pr_err *err)
{
    const struct machine m = report_machine();
    json_t *contenders = json_array(), *verdicts = json_array();
    for (unsigned i = 0; i < p->n; i++)
        json_array_append_new(contenders, contender_json(&p->c[i]));
    for (unsigned i = 0; i < n; i++)
        json_array_append_new(verdicts, verdict_json(&v[i]));
    json_t *all =
        json_pack("{s:{s:s, s:I, s:f, s:s, s:s}, s:s, s:I, s:I, s:I, s:b, s:o, s:o}", "machine",
                  "cpu", m.cpu, "cores", (json_int_t)m.cores, "memory_gib", m.memory_gib, "system",
                  m.system, "compiler", __VERSION__, "peers", p->peers, "runs", (json_int_t)o->runs,
                  "tries", (json_int_t)o->tries, "seed", (json_int_t)o->seed, "vary", o->vary,
                  "verdicts", verdicts, "contenders", contenders);
    const int failed = all == NULL || json_dump_file(all, path, JSON_INDENT(1)) != 0;
    json_decref(all);
    return failed ? pr_fail(err, PR_EUNAVAIL, "cannot write %s", path) : PR_OK;
}

/* --- the machine ---------------------------------------------------------------- */

/* What stands behind the first line of file that begins with key, after any of
 * " \t:=\"". */
static void line_of(const char *file, const char *key, char *out, size_t size)
{
    char line[512];
    FILE *f = fopen(file, "r");
    snprintf(out, size, "unknown");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, key, strlen(key)) == 0) {
            const char *value = line + strlen(key);
            value += strspn(value, " \t:=\"");
            snprintf(out, size, "%.*s", (int)strcspn(value, "\"\n"), value);
            break;
        }
    if (f != NULL)
        (void)fclose(f);
}

struct machine report_machine(void)
{
    struct machine m = { .cores = sysconf(_SC_NPROCESSORS_ONLN) };
    char memory[64];
    line_of("/proc/cpuinfo", "model name", m.cpu, sizeof m.cpu);
    line_of("/etc/os-release", "PRETTY_NAME", m.system, sizeof m.system);
    line_of("/proc/meminfo", "MemTotal", memory, sizeof memory);
    m.memory_gib = atof(memory) / (1 << 20);
    return m;
}
