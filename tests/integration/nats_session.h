/* A plain connection to NATS servers, to ask them what the bus does not. */
#ifndef PRISM_TEST_NATS_SESSION_H
#define PRISM_TEST_NATS_SESSION_H

#include <nats/nats.h>

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
