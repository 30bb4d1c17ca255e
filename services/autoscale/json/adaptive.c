#include "json/tables.h"

#define P(member) F(struct autoscale_adaptive, member)
#define DAY_MS    .kind = FIELD_I64, .lo = 0, .hi = 86400000
static const struct field policy_rows[] = {
    { P(target_pct), .kind = FIELD_REAL },
    { P(mean_ms), DAY_MS },
    { P(peak_pct), .kind = FIELD_REAL },
    { P(out_band_pct), .kind = FIELD_REAL },
    { P(in_band_pct), .kind = FIELD_REAL },
    { P(hold_ms), DAY_MS },
    { P(hold_flap_ms), DAY_MS },
    { P(gap_ms), DAY_MS },
    { P(flap_ms), DAY_MS },
    { P(flaps_per_day), .kind = FIELD_INT },
    { P(actions_per_day), .kind = FIELD_INT },
    { P(saturated_pct), .kind = FIELD_REAL },
    { P(jump_ratio), .kind = FIELD_REAL },
    { P(growth_ratio), .kind = FIELD_REAL },
    { P(memory_pct), .kind = FIELD_REAL },
    { P(network_bps), .kind = FIELD_REAL },
    { P(alarm_after_ms), DAY_MS },
};
const struct field_table autoscale_adaptive_fields =
    FIELD_TABLE(policy_rows, struct autoscale_adaptive, NULL);

#define M(member) F(struct autoscale_adaptive_memory, member)
/* As far as milliseconds reach. */
#define MINUTE .kind = FIELD_I64, .lo = -2e14, .hi = 2e14
#define REALS(member)                                                                              \
    {                                                                                              \
        M(member), .kind = FIELD_REALS,                                                            \
                   .cap = PR_COUNT(((struct autoscale_adaptive_memory *)0)->member)                \
    }
static const struct field memory_rows[] = {
    { M(begun), .kind = FIELD_I32 },
    { M(minute), MINUTE },
    REALS(load),
    REALS(forecast),
    REALS(signal),
    REALS(weight),
    REALS(pair),
    REALS(rise),
    REALS(mean),
    { M(came), .kind = FIELD_REAL },
    REALS(day),
    REALS(week),
    { M(day_sum), .kind = FIELD_REAL, .flags = FIELD_NULLABLE },
    { M(week_sum), .kind = FIELD_REAL, .flags = FIELD_NULLABLE },
    { M(day_n), .kind = FIELD_I32 },
    { M(week_n), .kind = FIELD_I32 },
    REALS(held),
    { M(held_sum), .kind = FIELD_REAL, .flags = FIELD_NULLABLE },
    { M(held_n), .kind = FIELD_I32 },
    { M(cpu_pct), .kind = FIELD_REAL, .flags = FIELD_NULLABLE },
    { M(same_since), MINUTE },
    { M(same_least), .kind = FIELD_I32 },
    { M(same_most), .kind = FIELD_I32 },
    { M(serving), .kind = FIELD_I32 },
    { M(hot_since), MINUTE },
    { M(hot_serving), .kind = FIELD_I32 },
    { M(grown), MINUTE },
    { M(grown_load), .kind = FIELD_REAL, .flags = FIELD_NULLABLE },
};
const struct field_table autoscale_adaptive_memory_fields =
    FIELD_TABLE(memory_rows, struct autoscale_adaptive_memory, NULL);
