#include "it_internal.h"

#include "prism/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

/* --- supervised servers ------------------------------------------------- */
static void control(const char *name, char what)
{
    char path[4096];
    int fd;

    snprintf(path, sizeof path, "%s/%s/supervise/control", it_env("IT_SV_DIR"), name);
    fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || write(fd, &what, 1) != 1)
        fail_msg("%s: %s", path, strerror(errno));
    close(fd);
}

pid_t it_server_pid(const char *name)
{
    char path[4096];
    int pid = 0;
    FILE *f;

    snprintf(path, sizeof path, "%s/%s/supervise/pid", it_env("IT_SV_DIR"), name);
    f = fopen(path, "re");
    if (f == NULL)
        fail_msg("%s: %s", path, strerror(errno));
    if (fscanf(f, "%d", &pid) != 1)
        pid = 0;
    fclose(f);
    return pid;
}

/* runsv sees a death before a command that came earlier: wait until it knows. */
static bool will_stay_down(void *ctx)
{
    char path[4096], text[64] = "";
    FILE *f;

    snprintf(path, sizeof path, "%s/%s/supervise/stat", it_env("IT_SV_DIR"), (const char *)ctx);
    f = fopen(path, "re");
    if (f == NULL)
        return false;
    if (fgets(text, sizeof text, f) == NULL)
        text[0] = '\0';
    fclose(f);
    return strstr(text, "want down") != NULL;
}

static bool gone(void *ctx)
{
    return kill(*(pid_t *)ctx, 0) != 0 && errno == ESRCH;
}

void it_server_kill(const char *name, bool keep_down)
{
    pid_t pid = it_server_pid(name);

    if (pid <= 1)
        fail_msg("%s is not running", name);
    if (keep_down) {
        char copy[64];

        snprintf(copy, sizeof copy, "%s", name);
        control(name, 'o'); /* runsv: once; do not start it again */
        assert_true(it_await(will_stay_down, copy, 5000));
    } else {
        control(name, 'u'); /* an earlier test may have left it at "once" */
    }
    kill(pid, SIGKILL);
    assert_true(it_await(gone, &pid, 5000));
}

static int server_port(const char *name)
{
    const char *at;

    if (strncmp(name, "redis-", 6) == 0)
        return atoi(name + 6);
    at = strrchr(it_env(strcmp(name, "nats") == 0 ? "IT_NATS_URL" : "IT_DB_URI"), ':');
    return at != NULL ? atoi(at + 1) : 0;
}

static bool answers(void *ctx)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)server_port(ctx)) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;

    close(fd);
    return ok;
}

void it_server_up(const char *name)
{
    char copy[64];

    snprintf(copy, sizeof copy, "%s", name);
    control(name, 'u');
    if (!it_await(answers, copy, 30000))
        fail_msg("%s does not answer on port %d", name, server_port(name));
}

/* --- Redis -------------------------------------------------------------- */
size_t it_redis_ports(int port[IT_MAX_NODES])
{
    size_t n = 0;

    for (const char *p = it_env("IT_REDIS_SEEDS"); p != NULL && n < IT_MAX_NODES;) {
        const char *colon = strchr(p, ':');

        assert_non_null(colon);
        port[n++] = atoi(colon + 1);
        p = strchr(colon, ',');
        p = p != NULL ? p + 1 : NULL;
    }
    return n;
}

const char *it_redis_zone(int port)
{
    static char zone[64];
    char key[32];
    const char *at;

    snprintf(key, sizeof key, ":%d=", port);
    at = strstr(it_env("IT_ZONES"), key);
    if (at == NULL)
        fail_msg("no zone for Redis port %d", port);
    at += strlen(key);
    snprintf(zone, sizeof zone, "%.*s", (int)strcspn(at, ","), at);
    return zone;
}

static redisContext *open_as(int port, const char *user, const char *password)
{
    redisContext *c = redisConnectWithTimeout("127.0.0.1", port, (struct timeval){ 2, 0 });
    redisReply *r;

    if (c == NULL || c->err != 0) {
        redisFree(c);
        return NULL;
    }
    redisSetTimeout(c, (struct timeval){ 10, 0 });
    r = redisCommand(c, "AUTH %s %s", user, password);
    if (r == NULL || r->type == REDIS_REPLY_ERROR) {
        redisFree(c);
        c = NULL;
    }
    if (r != NULL)
        freeReplyObject(r);
    return c;
}

redisContext *it_redis_user(int port, const char *user, const char *password)
{
    redisContext *c = open_as(port, user, password);

    if (c == NULL)
        fail_msg("Redis 127.0.0.1:%d refuses user %s, or is down", port, user);
    return c;
}

redisContext *it_redis_admin(int port)
{
    return it_redis_user(port, it_env("IT_REDIS_ADMIN_USER"), it_env("IT_REDIS_ADMIN_PASSWORD"));
}

static bool says(redisContext *c, const char *command, const char *text, int times)
{
    redisReply *r = redisCommand(c, command);
    int found = 0;

    if (r != NULL && r->str != NULL)
        for (const char *p = r->str; (p = strstr(p, text)) != NULL; p++)
            found++;
    if (r != NULL)
        freeReplyObject(r);
    return found >= times;
}

static bool node_healthy(int port)
{
    redisContext *c =
        open_as(port, it_env("IT_REDIS_ADMIN_USER"), it_env("IT_REDIS_ADMIN_PASSWORD"));
    bool ok = false;

    if (c == NULL)
        return false;
    ok = says(c, "CLUSTER INFO", "cluster_state:ok", 1) &&
         says(c, "CLUSTER INFO", "cluster_slots_ok:16384", 1) &&
         !says(c, "CLUSTER NODES", "fail", 1) &&
         (says(c, "INFO replication", "role:master", 1)
              ? says(c, "INFO replication", "state=online", atoi(it_env("IT_REPLICAS")))
              : says(c, "INFO replication", "master_link_status:up", 1));
    redisFree(c);
    return ok;
}

bool it_cluster_healthy(void)
{
    int port[IT_MAX_NODES];
    size_t n = it_redis_ports(port);

    for (size_t i = 0; i < n; i++)
        if (!node_healthy(port[i]))
            return false;
    return true;
}

static bool healthy(void *ctx)
{
    (void)ctx;
    return it_cluster_healthy();
}

void it_cluster_revive(void)
{
    int port[IT_MAX_NODES];
    const size_t n = it_redis_ports(port);
    for (size_t i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "redis-%d", port[i]);
        const pid_t pid = it_server_pid(name);
        if (pid > 1)
            (void)kill(pid, SIGCONT);
        else
            it_server_up(name);
    }
}

/* Of CLUSTER NODES: the primary with slots that has the fewest replicas; false: there is none. */
static bool fewest_replicas(const char *nodes, char id[41])
{
    int fewest = INT_MAX;
    for (const char *line = nodes; *line != '\0'; line += strcspn(line, "\n") + 1) {
        char flags[64];
        int used = 0, replicas = 0;
        const size_t length = strcspn(line, "\n");
        if (length < 41 ||
            sscanf(line, "%*40s %*s %63s %*s %*s %*s %*s %*s%n", flags, &used) != 1 ||
            strstr(flags, "master") == NULL || (size_t)used >= length) /* the slots come last */
            continue;
        char follows[48];
        snprintf(follows, sizeof follows, " %.40s ", line);
        for (const char *at = nodes; (at = strstr(at, follows)) != NULL; at++)
            replicas++;
        if (replicas < fewest) {
            fewest = replicas;
            snprintf(id, 41, "%.40s", line);
        }
        if (line[length] == '\0')
            break;
    }
    return fewest < INT_MAX;
}

/* After a fail-over Redis may leave the old primary without slots and following nobody. Where the
 * rebalance service runs it takes such a node back; what a test left behind, we do. */
static void take_back(int port)
{
    char id[41];
    redisContext *c = it_redis_admin(port);
    redisReply *nodes = redisCommand(c, "CLUSTER NODES");
    assert_true(nodes != NULL && nodes->type == REDIS_REPLY_STRING);
    const char *self = strstr(nodes->str, " myself,master ");
    if (self != NULL) {
        const size_t length = strcspn(self, "\n");
        int used = 0;
        (void)sscanf(self, "%*s %*s %*s %*s %*s %*s%n", &used);
        if ((size_t)used >= length && fewest_replicas(nodes->str, id)) {
            print_message("redis-%d has no slots and follows nobody: a replica of %s again\n", port,
                          id);
            freeReplyObject(redisCommand(c, "FLUSHALL")); /* of slots that it lost */
            freeReplyObject(redisCommand(c, "CLUSTER REPLICATE %s", id));
        }
    }
    freeReplyObject(nodes);
    redisFree(c);
}

void it_cluster_await(int timeout_ms)
{
    int port[IT_MAX_NODES];
    it_cluster_revive();
    if (it_await(healthy, NULL, timeout_ms / 3))
        return;
    for (size_t i = 0, n = it_redis_ports(port); i < n; i++)
        take_back(port[i]);
    if (!it_await(healthy, NULL, timeout_ms - timeout_ms / 3))
        fail_msg("the Redis Cluster is not healthy after %d ms", timeout_ms);
}

const char *it_slot_tag(int slot)
{
    static char tag[16];
    for (int i = 0; i < 1000000; i++) {
        const int n = snprintf(tag, sizeof tag, "t%d", i);
        if (pr_crc16(tag, (size_t)n) % PR_SLOTS == slot)
            return tag;
    }
    fail_msg("no tag for slot %d", slot);
    return NULL;
}

void it_redis_flush(void)
{
    int port[IT_MAX_NODES];
    size_t n = it_redis_ports(port);

    it_cluster_await(60000);
    for (size_t i = 0; i < n; i++) {
        redisContext *c = it_redis_admin(port[i]);

        if (says(c, "INFO replication", "role:master", 1)) {
            redisReply *r = redisCommand(c, "FLUSHALL");
            assert_non_null(r);
            assert_int_equal(r->type, REDIS_REPLY_STATUS);
            freeReplyObject(r);
        }
        redisFree(c);
    }
}
