#include "api_heat.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static const char *const names[] = { "", "hot", "warm", "cold" };

const char *api_temperature_name(enum api_temperature t)
{
    return names[t];
}

enum api_temperature api_temperature_parse(const char *name)
{
    for (size_t i = 1; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return (enum api_temperature)i;
    return API_HEAT_UNKNOWN;
}

static double decayed(double score, int64_t from_ms, int64_t to_ms, const struct api_heat_rules *r)
{
    return to_ms <= from_ms
               ? score
               : score * exp(-log(2) * (double)(to_ms - from_ms) / (double)r->half_life_ms);
}

void api_heat_add(struct api_heat_spot *s, const struct api_heat_rules *r, int64_t at_ms,
                  double operations)
{
    if (at_ms >= s->scored_ms) {
        s->score = decayed(s->score, s->scored_ms, at_ms, r) + operations;
        s->scored_ms = at_ms;
    } else {
        s->score += decayed(operations, at_ms, s->scored_ms, r);
    }
    if (at_ms > s->accessed_ms)
        s->accessed_ms = at_ms;
}

/* A steady rate x has the score x * half-life / ln 2. */
double api_heat_per_s(const struct api_heat_spot *s, const struct api_heat_rules *r, int64_t now_ms)
{
    return decayed(s->score, s->scored_ms, now_ms, r) * log(2) / ((double)r->half_life_ms / 1000);
}

enum api_temperature api_heat_judge(const struct api_heat_spot *s, const struct api_heat_rules *r,
                                    int64_t now_ms, int64_t since_ms)
{
    const int64_t quiet_from_ms = s->accessed_ms > 0 ? s->accessed_ms : since_ms;
    if (api_heat_per_s(s, r, now_ms) >= r->hot_per_s)
        return API_HOT;
    if (now_ms - quiet_from_ms >= r->cold_after_ms)
        return API_COLD;
    return s->was == API_HOT && now_ms - since_ms < r->half_life_ms ? API_HOT : API_WARM;
}
