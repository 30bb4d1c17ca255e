/* What a node answers to every command but those of jobs. */
#include "fake_pair_internal.h"

#include "prism/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void fake_bulk(struct pr_buf *out, const char *text)
{
    pr_buf_printf(out, "$%zu\r\n", strlen(text));
    pr_buf_str(out, text);
    pr_buf_str(out, "\r\n");
}

static void say_nodes(const struct fake_node *me, struct pr_buf *out)
{
    struct pr_buf b;
    pr_buf_init(&b, 0);
    for (int n = 0; n < FAKE_NODES; n++) {
        const struct fake_node *o = &fake.node[n];
        pr_buf_printf(&b, "%s 127.0.0.1:%d@%d %s%s%s %s 0 0 %u connected", o->id, o->port,
                      o->port + 10000 > 65535 ? 1 : o->port + 10000, o == me ? "myself," : "",
                      o->primary ? "master" : "slave", o->alive ? "" : ",fail",
                      o->primary ? "-" : fake.node[o->primary_of].id, o->epoch);
        for (int s = 0; s < FAKE_SLOTS; s++) {
            if (me->owner[s] != n || (s > 0 && me->owner[s - 1] == n))
                continue;
            int last = s;
            while (last + 1 < FAKE_SLOTS && me->owner[last + 1] == n)
                last++;
            pr_buf_printf(&b, last > s ? " %d-%d" : " %d", s, last);
        }
        for (int s = 0; o == me && s < FAKE_SLOTS; s++)
            if (me->mark[s] != 0)
                pr_buf_printf(&b, " [%d-%c-%s]", s, me->mark[s], fake.node[me->towards[s]].id);
        pr_buf_str(&b, "\n");
    }
    fake_bulk(out, b.data);
    pr_buf_done(&b);
}

static void say_info(int node, struct pr_buf *out)
{
    char text[400], cpu[64] = "";
    const struct fake_node *me = &fake.node[node];
    int replica = -1;
    for (int n = 0; n < FAKE_NODES; n++)
        if (!fake.node[n].primary && fake.node[n].alive && fake.node[n].primary_of == node)
            replica = n;
    const int len = snprintf(text, sizeof text, "master_replid:%040d\r\nmaster_repl_offset:100\r\n",
                             fake.prints.another && fake.printed > 0);
    if (!me->primary && !fake.prints.none)
        snprintf(text + len, sizeof text - (size_t)len, "role:slave\r\n");
    else if (replica < 0)
        snprintf(text + len, sizeof text - (size_t)len, "role:master\r\nconnected_slaves:0\r\n");
    else
        snprintf(text + len, sizeof text - (size_t)len,
                 "role:master\r\nconnected_slaves:1\r\nslave0:ip=127.0.0.1,port=%d,state=online,"
                 "offset=100,lag=0\r\n",
                 fake.node[replica].port);
    if (fake.busy) /* ten seconds' worth whenever it is asked */
        snprintf(cpu, sizeof cpu, "used_cpu_sys_main_thread:%u\r\n", ++fake.infos * 10);
    pr_buf_printf(out, "$%zu\r\n%s%s\r\n", strlen(text) + strlen(cpu), text, cpu);
}

void fake_give(int slot, int to)
{
    for (int n = 0; n < FAKE_NODES; n++)
        if (fake.gossip || (n != FAKE_SOURCE && n != FAKE_SOURCE_REPLICA))
            fake.node[n].owner[slot] = (signed char)to;
}

int fake_number(const char *id)
{
    for (int n = 0; n < FAKE_NODES; n++)
        if (strcmp(fake.node[n].id, id) == 0)
            return n;
    return -1;
}

/* EVAL script 0 deadline slot (verb id)...: what effects.c tells with SETSLOT. */
static void setslot(int node, int argc, char **argv, struct pr_buf *out)
{
    struct fake_node *me = &fake.node[node];
    const int slot = argc > 4 ? atoi(argv[4]) : 0;
    fake.setslots++;
    for (int i = 5; i + 1 < argc; i += 2) {
        const signed char other = (signed char)fake_number(argv[i + 1]);
        if (strcmp(argv[i], "IMPORTING") == 0 || strcmp(argv[i], "MIGRATING") == 0) {
            me->mark[slot] = argv[i][0] == 'I' ? '<' : '>';
            me->towards[slot] = other;
        } else
            me->mark[slot] = 0;
        if (strcmp(argv[i], "NODE") == 0 && other == node) {
            me->epoch += 10;
            for (int n = 0; n < FAKE_NODES; n++)
                fake.node[n].owner[slot] = other;
        } else if (strcmp(argv[i], "NODE") == 0)
            me->owner[slot] = other;
    }
    pr_buf_str(out, "+OK\r\n");
}

static bool cluster(int node, int argc, char **argv, struct pr_buf *out)
{
    const struct fake_node *me = &fake.node[node];
    const char *verb = argc > 1 ? argv[1] : "";
    const int slot = argc > 2 ? atoi(argv[2]) & (FAKE_SLOTS - 1) : 0;
    if (strcmp(verb, "NODES") == 0)
        say_nodes(me, out);
    else if (strcmp(verb, "COUNTKEYSINSLOT") == 0)
        pr_buf_printf(out, ":%d\r\n", me->keys[slot]);
    else if (strcmp(verb, "GETKEYSINSLOT") == 0)
        pr_buf_str(out, "*0\r\n");
    else if (strcmp(verb, "BUMPEPOCH") == 0)
        pr_buf_str(out, "+BUMPED 1\r\n");
    else
        return false;
    return true;
}

/* FCALL_RO prism_print n key... */
static void say_prints(int argc, char **argv, struct pr_buf *out)
{
    const struct timespec late = { .tv_nsec = (long)fake.prints.late_ms * 1000000 };
    (void)nanosleep(&late, NULL);
    if (++fake.printed == fake.prints.refused) {
        pr_buf_str(out, "-ASK 1 127.0.0.1:1\r\n");
        return;
    }
    pr_buf_printf(out, "*%d\r\n", argc - 3);
    for (int i = 3; i < argc; i++)
        fake_bulk(out, argv[i]);
}

static void offers(enum fake_server s, struct pr_buf *out)
{
    static const char INFO[] = "*2\r\n$5\r\nknown\r\n:-4\r\n", NIL[] = "*-1\r\n";
    pr_buf_printf(out, "*2\r\n%s%s", s == FAKE_VALKEY9 ? INFO : NIL,
                  s == FAKE_REDIS84 ? INFO : NIL);
}

bool fake_command(int node, int argc, char **argv, struct pr_buf *out)
{
    static const char *const OK[] = {
        "AUTH", "ACL", "CONFIG", "CLIENT", "ASKING", "SET", "READONLY"
    };
    bool hang_up = false;
    if (strcmp(argv[0], "PING") == 0)
        pr_buf_str(out, "+PONG\r\n");
    else if (strcmp(argv[0], "INFO") == 0)
        say_info(node, out);
    else if (strcmp(argv[0], "TIME") == 0) {
        pr_buf_str(out, "*2\r\n");
        fake_bulk(out, "1");
        fake_bulk(out, "0");
    } else if (strcmp(argv[0], "WAIT") == 0 || strcmp(argv[0], "UNLINK") == 0)
        pr_buf_str(out, ":1\r\n");
    else if (strcmp(argv[0], "EVAL") == 0)
        setslot(node, argc, argv, out);
    else if (argc > 3 && strcmp(argv[0], "FCALL_RO") == 0 && strcmp(argv[1], "prism_print") == 0)
        say_prints(argc, argv, out);
    else if (strcmp(argv[0], "COMMAND") == 0 && fake_takes(FAKE_MUTE))
        return false;
    else if (strcmp(argv[0], "COMMAND") == 0)
        offers(fake.node[node].server, out);
    else if (argc > 1 && ((strcmp(argv[0], "CONFIG") == 0 && strcmp(argv[1], "GET") == 0) ||
                          strcmp(argv[1], "USERS") == 0))
        pr_buf_str(out, "*0\r\n");
    else if (strcmp(argv[0], "CLUSTER") == 0 &&
             (fake_job_command(node, argc, argv, out, &hang_up) || cluster(node, argc, argv, out)))
        return !hang_up;
    else {
        for (size_t i = 0; i < PR_COUNT(OK); i++)
            if (strcmp(argv[0], OK[i]) == 0) {
                pr_buf_str(out, "+OK\r\n");
                return true;
            }
        fake.unknown++;
        pr_buf_printf(out, "-ERR unknown command '%s'\r\n", argv[0]);
    }
    return true;
}
