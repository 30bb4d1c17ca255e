/* How warm a partition is, from sampled accesses. Pure: the clock comes in. The rate is an
 * exponentially decayed sum, so that it needs one number a partition and forgets by itself.
 * Source: services/metadata-api/README.md, "Temperature". */
#ifndef METADATA_API_HEAT_H
#define METADATA_API_HEAT_H

#include <stdint.h>

struct api_heat_rules {
    double hot_per_s;      /* operations, at least: hot */
    int64_t half_life_ms;  /* an access counts half after this; above 0 */
    int64_t cold_after_ms; /* without an access: cold */
};

enum api_temperature { API_HEAT_UNKNOWN, API_HOT, API_WARM, API_COLD };
const char *api_temperature_name(enum api_temperature t); /* "hot"; UNKNOWN: "" */
enum api_temperature api_temperature_parse(const char *name);

struct api_heat_spot {              /* one partition; all zero: nothing known */
    double score;                   /* decayed operations, as of scored_ms */
    int64_t scored_ms, accessed_ms; /* Unix epoch */
    enum api_temperature was;       /* as it was judged last, here or before a restart */
};

/* operations happened up to at_ms. Those that come late count as decayed. */
void api_heat_add(struct api_heat_spot *s, const struct api_heat_rules *r, int64_t at_ms,
                  double operations);
double api_heat_per_s(const struct api_heat_spot *s, const struct api_heat_rules *r,
                      int64_t now_ms);
/* since_ms: from when on accesses were heard of. What was hot stays so for a half-life after
 * that: its rate is not known yet. What was never seen is cold once it was looked for long enough.
 */
enum api_temperature api_heat_judge(const struct api_heat_spot *s, const struct api_heat_rules *r,
                                    int64_t now_ms, int64_t since_ms);

#endif
