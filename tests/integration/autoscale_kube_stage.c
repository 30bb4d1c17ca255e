#include "autoscale_kube_stage.h"

#include "t.h"

static const struct autoscale_target TARGET[] = { { "deployments/proxy-a", 0, -1 },
                                                  { "statefulsets/redis-b", 1, -1 } };
char token_path[64];

struct autoscale_provider settings_of(struct provider *p)
{
    return (struct autoscale_provider){ .kind = "kubernetes",
                                        .target = TARGET,
                                        .targets = PR_COUNT(TARGET),
                                        .pace = provider_pace(p),
                                        .endpoint = p->url,
                                        .ca_file = "",
                                        .space = "prism",
                                        .owner = "pool/1",
                                        .token_file = token_path };
}

int kube_setup(void **state)
{
    static struct provider p;

    provider_start(&p, "kubernetes", NULL, NULL);
    provider_write(&p, "token", "first\n", token_path);
    provider_tell(&p, "{\"set\": {\"objects\": {"
                      "\"deployments/proxy-a\": {\"replicas\": 2, \"version\": 7, \"pods\": ["
                      "{\"name\": \"proxy-a-x1\"}, {\"name\": \"proxy-a-x2\"}]},"
                      "\"statefulsets/redis-b\": {\"replicas\": 3, \"version\": 9, \"pods\": ["
                      "{\"name\": \"redis-b-0\"}, {\"name\": \"redis-b-1\", \"node\": \"n2\"},"
                      "{\"name\": \"redis-b-2\"}]}}}}");
    const struct autoscale_provider settings = settings_of(&p);
    provider_open(&p, &settings);
    *state = &p;
    return 0;
}

int kube_teardown(void **state)
{
    provider_stop(*state);
    return 0;
}
