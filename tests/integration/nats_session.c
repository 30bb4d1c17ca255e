#include "t.h"

#include "nats_session.h"

#include "it.h"

#include <stdio.h>

pid_t nats_spawn(const char *conf)
{
    char command[280]; /* Debian keeps it in /usr/sbin */
    (void)snprintf(command, sizeof command, "PATH=\"$PATH:/usr/sbin\" exec nats-server -c %s",
                   conf);
    const char *argv[] = { "/bin/sh", "-c", command, NULL };
    return it_spawn(NULL, argv);
}

void nats_session_open(struct nats_session *s, const char **url, int urls, const char *user,
                       const char *password)
{
    assert_int_equal(natsOptions_Create(&s->opts), NATS_OK);
    assert_int_equal(natsOptions_SetServers(s->opts, url, urls), NATS_OK);
    if (user != NULL)
        assert_int_equal(natsOptions_SetUserInfo(s->opts, user, password), NATS_OK);
    assert_int_equal(natsConnection_Connect(&s->nc, s->opts), NATS_OK);
    assert_int_equal(natsConnection_JetStream(&s->js, s->nc, NULL), NATS_OK);
}

void nats_session_close(struct nats_session *s)
{
    jsCtx_Destroy(s->js);
    natsConnection_Destroy(s->nc);
    natsOptions_Destroy(s->opts);
}
