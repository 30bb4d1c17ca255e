#include "autoscale_aws_stage.h"

#include "t.h"

struct autoscale_target one_target[1] = { { "redis-a-pg1", 0, 0 } };

struct autoscale_provider settings_of(struct provider *p)
{
    return (struct autoscale_provider){ .kind = "aws",
                                        .target = one_target,
                                        .targets = 1,
                                        .pace = provider_pace(p),
                                        .endpoint = p->url,
                                        .region = "eu-central-1",
                                        .keys.keys = { "AKIDEXAMPLE", SECRET, "" } };
}

int aws_setup(void **state)
{
    static struct provider p;

    provider_start(&p, "aws", NULL, NULL);
    provider_tell(&p, "{\"set\": {\"groups\": {\"redis-a-pg1\": {\"desired\": 3, \"min\": 1,"
                      "\"max\": 10, \"instances\": [{\"id\": \"i-a1\", \"state\": \"InService\"},"
                      "{\"id\": \"i-a2\", \"state\": \"InService\"},"
                      "{\"id\": \"i-a3\", \"state\": \"InService\"}]}}}}");
    const struct autoscale_provider settings = settings_of(&p);
    provider_open(&p, &settings);
    *state = &p;
    return 0;
}

int aws_teardown(void **state)
{
    provider_stop(*state);
    return 0;
}
