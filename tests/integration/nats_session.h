/* A nats-server of a test's own, and a plain connection to some, to ask what the bus does not. */
#ifndef PRISM_TEST_NATS_SESSION_H
#define PRISM_TEST_NATS_SESSION_H

#include <nats/nats.h>
#include <sys/types.h>

/* With the settings of a file; as it_spawn. */
pid_t nats_spawn(const char *conf);

struct nats_session {
    natsOptions *opts;
    natsConnection *nc;
    jsCtx *js;
};

/* url: [urls], any of them. user: NULL: none. Fails the test. */
void nats_session_open(struct nats_session *s, const char **url, int urls, const char *user,
                       const char *password);
void nats_session_close(struct nats_session *s);

#endif
