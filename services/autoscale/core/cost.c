#include "core/cost.h"

#include <math.h>

double autoscale_cost_month_of(const struct autoscale_instance_type *type, int members)
{
    return members * type->price_hour * AUTOSCALE_MONTH_HOURS;
}

double autoscale_cost_month(const struct autoscale_fleet *f, int members)
{
    return f->types == 0 ? NAN : autoscale_cost_month_of(&f->ladder[f->type], members);
}
