#include "it_internal.h"

#include "prism/io/bus.h"

#include <nats/nats.h>

/* The streams of proto/subjects.def. */
static const char *const streams[] = {
#define STREAM(name, subjects, retention, max_age_s) #name,
#define CONSUMER(stream, durable, filter)
#define RPC(subject, service)
#include "subjects.def"
#undef STREAM
#undef CONSUMER
#undef RPC
};

static void delete_streams(void)
{
    natsOptions *o = NULL;
    natsConnection *nc = NULL;
    jsCtx *js = NULL;
    natsStatus s = natsOptions_Create(&o);

    if (s == NATS_OK)
        s = natsOptions_SetURL(o, it_env("IT_NATS_URL"));
    if (s == NATS_OK)
        s = natsOptions_SetUserInfo(o, it_env("IT_NATS_ADMIN_USER"),
                                    it_env("IT_NATS_ADMIN_PASSWORD"));
    if (s == NATS_OK) /* the only inboxes that this user may read */
        s = natsOptions_SetCustomInboxPrefix(o, "_INBOX_admin");
    if (s == NATS_OK)
        s = natsConnection_Connect(&nc, o);
    if (s == NATS_OK)
        s = natsConnection_JetStream(&js, nc, NULL);
    for (size_t i = 0; s == NATS_OK && i < sizeof streams / sizeof streams[0]; i++) {
        s = js_DeleteStream(js, streams[i], NULL, NULL);
        if (s == NATS_NOT_FOUND)
            s = NATS_OK;
    }
    jsCtx_Destroy(js);
    natsConnection_Destroy(nc);
    natsOptions_Destroy(o);
    if (s != NATS_OK)
        fail_msg("cannot delete the streams: %s", natsStatus_GetText(s));
}

void it_bus_reset(void)
{
    struct pr_bus *bus = NULL;
    struct pr_err err = { 0 };
    struct pr_bus_options o = { .url = it_env("IT_NATS_URL"),
                                .user = it_env("IT_NATS_ADMIN_USER"),
                                .password = it_env("IT_NATS_ADMIN_PASSWORD"),
                                .name = "it" };

    delete_streams();
    if (pr_bus_open(&bus, &o, &err) != PR_OK || pr_bus_setup(bus, 0, &err) != PR_OK)
        fail_msg("cannot make the streams: %s", err.text);
    pr_bus_close(bus);
}
