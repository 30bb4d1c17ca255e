#include "slots_batch.h"

#include "t.h"

#include <string.h>

void slots_batch_add(struct slots_batch *b, uint16_t slot, bool wait, const char *const *argv)
{
    const size_t i = b->n++;
    size_t used = 0;
    int argc = 0;
    assert_true(i < SLOTS_BATCH);
    for (; argv[argc] != NULL; argc++) {
        const size_t len = strlen(argv[argc]);
        assert_true(argc < SLOTS_ARGS && used + len < SLOTS_WORDS);
        memcpy(b->text[i] + used, argv[argc], len + 1);
        b->argv[i][argc] = b->text[i] + used;
        b->len[i][argc] = len;
        used += len + 1;
    }
    b->cmd[i] = (struct pr_rcmd){
        .argc = argc, .argv = b->argv[i], .argvlen = b->len[i], .slot = slot, .wait = wait
    };
}

void slots_batch_done(struct slots_batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->cmd[i].reply != NULL)
            freeReplyObject(b->cmd[i].reply);
    b->n = 0;
}
