#include "workload_print.h"

#include <inttypes.h>

static double share(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

static uint64_t operations(const struct dp_tally *t)
{
    return t->reads + t->writes_acked + t->writes_unknown;
}

static double rate(const struct dp_tally *t, double seconds)
{
    return seconds > 0 ? (double)operations(t) / seconds : 0;
}

void workload_print_progress(bool json, FILE *to, const struct dp_tally *t, double seconds)
{
    const double cross = share(dp_tally_cross(t), dp_tally_total(t));
    if (json)
        (void)fprintf(to,
                      "{\"phase\":\"run\",\"seconds\":%.1f,\"traversals\":%" PRIu64
                      ",\"reads\":%" PRIu64 ",\"writes_acked\":%" PRIu64
                      ",\"writes_unknown\":%" PRIu64 ",\"ops_per_s\":%.0f"
                      ",\"cross_share_root_zone\":%.4f}\n",
                      seconds, t->traversals, t->reads, t->writes_acked, t->writes_unknown,
                      rate(t, seconds), cross);
    else
        (void)fprintf(to,
                      "\r%5.0f s  %" PRIu64 " traversals  %.0f ops/s  cross-zone %.1f %%  "
                      "%" PRIu64 " writes acknowledged ",
                      seconds, t->traversals, rate(t, seconds), 100 * cross, t->writes_acked);
    (void)fflush(to);
}

void workload_print_json(FILE *to, const struct dp_workload_report *r, const struct dp_zones *z)
{
    const struct dp_tally *t = &r->tally;
    const uint64_t total = dp_tally_total(t), cross = dp_tally_cross(t);
    (void)fprintf(to,
                  "{\"done\":true,\"seconds\":%.3f,\"traversals\":%" PRIu64 ",\"reads\":%" PRIu64
                  ",\"failed_reads\":%" PRIu64 ",\"missing\":%" PRIu64 ",\"writes_acked\":%" PRIu64
                  ",\"writes_unknown\":%" PRIu64 ",\"writes_refused\":%" PRIu64 ",\"lost\":%" PRIu64
                  ",\"verified\":%" PRIu64,
                  r->seconds, t->traversals, t->reads, t->failed_reads, t->missing, t->writes_acked,
                  t->writes_unknown, t->writes_refused, r->lost, r->verified);
    (void)fprintf(to,
                  ",\"bytes\":{\"total\":%" PRIu64 ",\"cross\":%" PRIu64
                  ",\"cross_random\":%" PRIu64 ",\"unzoned\":%" PRIu64 ",\"dropped\":%" PRIu64
                  "},\"cross_share_root_zone\":%.6f,\"cross_share_random_zone\":%.6f,\"matrix\":{",
                  total, cross, t->cross_random_bytes, t->unzoned_bytes, t->dropped_bytes,
                  share(cross, total), share(t->cross_random_bytes, total));
    for (int a = 0; a < z->n; a++) {
        (void)fprintf(to, "%s\"%s\":{", a > 0 ? "," : "", z->name[a]);
        for (int b = 0; b < z->n; b++)
            (void)fprintf(to, "%s\"%s\":%" PRIu64, b > 0 ? "," : "", z->name[b], t->bytes[a][b]);
        (void)fputc('}', to);
    }
    (void)fprintf(to,
                  "},\"redirects\":%" PRIu64 ",\"stubs_followed\":%" PRIu64
                  ",\"ops_per_s\":%.0f,\"p50_us\":%" PRIu64 ",\"p99_us\":%" PRIu64
                  ",\"replication_bytes\":%" PRIu64 ",\"replication_cross_bytes\":%" PRIu64 "}\n",
                  t->redirects, t->stubs_followed, rate(t, r->seconds),
                  pr_hist_quantile(&t->latency_us, 0.5), pr_hist_quantile(&t->latency_us, 0.99),
                  r->replication_bytes, r->replication_cross_bytes);
    (void)fflush(to);
}

static void print_matrix(FILE *to, const struct dp_tally *t, const struct dp_zones *z)
{
    (void)fprintf(to, "  MB, root's zone -> answering zone\n  %10s", "");
    for (int b = 0; b < z->n; b++)
        (void)fprintf(to, " %12s", z->name[b]);
    (void)fputc('\n', to);
    for (int a = 0; a < z->n; a++) {
        (void)fprintf(to, "  %10s", z->name[a]);
        for (int b = 0; b < z->n; b++)
            (void)fprintf(to, " %12.2f", (double)t->bytes[a][b] / 1e6);
        (void)fputc('\n', to);
    }
}

void workload_print_table(FILE *to, const struct dp_workload_report *r, const struct dp_zones *z)
{
    const struct dp_tally *t = &r->tally;
    const uint64_t total = dp_tally_total(t), cross = dp_tally_cross(t);
    (void)fprintf(to, "  traversals                  %" PRIu64 " in %.1f s\n", t->traversals,
                  r->seconds);
    (void)fprintf(to,
                  "  operations                  %" PRIu64 " reads, %" PRIu64
                  " writes acknowledged, %" PRIu64 " unknown, %" PRIu64 " refused (%.0f/s)\n",
                  t->reads, t->writes_acked, t->writes_unknown, t->writes_refused,
                  rate(t, r->seconds));
    (void)fprintf(to, "  latency in the pipeline     p50 %.2f ms, p99 %.2f ms\n",
                  (double)pr_hist_quantile(&t->latency_us, 0.5) / 1e3,
                  (double)pr_hist_quantile(&t->latency_us, 0.99) / 1e3);
    (void)fprintf(to,
                  "  bytes                       %.2f MB, %" PRIu64 " redirects, %" PRIu64
                  " moved vertices followed\n",
                  (double)total / 1e6, t->redirects, t->stubs_followed);
    (void)fprintf(to, "  cross-zone, clients at root %.2f %%\n", 100 * share(cross, total));
    (void)fprintf(to, "  cross-zone, random clients  %.2f %%\n",
                  100 * share(t->cross_random_bytes, total));
    (void)fprintf(to, "  replication                 %.2f MB, %.2f MB across zones\n",
                  (double)r->replication_bytes / 1e6, (double)r->replication_cross_bytes / 1e6);
    print_matrix(to, t, z);
    if (t->unzoned_bytes > 0)
        (void)fprintf(to, "  from nodes without a zone   %.2f MB\n",
                      (double)t->unzoned_bytes / 1e6);
    if (t->dropped_bytes > 0)
        (void)fprintf(to, "  of roots that were not read %.2f MB\n",
                      (double)t->dropped_bytes / 1e6);
    if (t->failed_reads > 0)
        (void)fprintf(to, "  reads given up              %" PRIu64 "\n", t->failed_reads);
    if (t->missing > 0)
        (void)fprintf(to, "  vertices not found          %" PRIu64 ", first %s\n", t->missing,
                      t->missing_id);
    (void)fprintf(to, "  verified                    %" PRIu64 " written vertices\n", r->verified);
    (void)fprintf(to, "  acknowledged writes lost:   %" PRIu64 "\n", r->lost);
    (void)fflush(to);
}

void workload_print_findings(FILE *to, const struct dp_workload_report *r)
{
    for (uint64_t i = 0; i < r->lost; i++) {
        const struct dp_lost *f = &r->finding[i];
        if (!f->found)
            (void)fprintf(to, "lost: vertex %s is gone; writer %s had %" PRIu64 " acknowledged\n",
                          f->vertex, f->writer, f->acked);
        else if (f->value < f->acked)
            (void)fprintf(
                to, "lost: vertex %s writer %s holds %" PRIu64 ", %" PRIu64 " was acknowledged\n",
                f->vertex, f->writer, f->value, f->acked);
        else
            (void)fprintf(to,
                          "corrupt: vertex %s writer %s holds %" PRIu64 ", nothing above %" PRIu64
                          " was written\n",
                          f->vertex, f->writer, f->value, f->attempted);
    }
    (void)fflush(to);
}
