#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int ctl_audit(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "AT", "at" },
        { "WHO", "principal" },
        { "ACTION", "action" },
        { "RESOURCE", "resource" },
    };
    char query[1024] = "";
    const char *limit = ctl_opt(line, "limit");
    json_t *list;
    ctl_query(query, sizeof query, "principal", ctl_opt(line, "principal"));
    ctl_query(query, sizeof query, "action", ctl_opt(line, "action"));
    ctl_query(query, sizeof query, "resource", ctl_opt(line, "resource"));
    int code =
        ctl_list(ctl, "/v1/audit", query, limit == NULL ? 20 : strtoul(limit, NULL, 10), &list);
    if (code != CTL_OK)
        return code;
    ctl_print_list(ctl, list, columns, COUNT(columns));
    json_decref(list);
    return CTL_OK;
}

int ctl_costs(struct ctl *ctl, const struct ctl_line *line)
{
    (void)line;
    return ctl_show(ctl, "/v1/costs");
}

int ctl_whoami(struct ctl *ctl, const struct ctl_line *line)
{
    (void)line;
    return ctl_show(ctl, "/v1/whoami");
}

int ctl_version(struct ctl *ctl, const struct ctl_line *line)
{
    (void)line;
    if (!ctl->json) {
        printf("prismctl %s\n", PRISM_VERSION);
        return CTL_OK;
    }
    json_t *version = json_pack("{s:s}", "version", PRISM_VERSION);
    ctl_print_json(version);
    json_decref(version);
    return CTL_OK;
}

static void words_of(const struct ctl_command *c)
{
    for (size_t i = 0; i < CTL_MAX_OPTIONS && c->option[i].name != NULL; i++)
        printf(" --%s", c->option[i].name);
}

int ctl_completion(struct ctl *ctl, const struct ctl_line *line)
{
    const char *last = "";
    (void)ctl;
    if (strcmp(line->arg[0], "bash") != 0)
        return ctl_complain(CTL_USAGE, "completion is for bash, not %s", line->arg[0]);
    printf("_prismctl() {\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} words='' group='' verb='' w skip=\n"
           "    for w in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
           "        if [ -n \"$skip\" ]; then skip=; continue; fi\n"
           "        case $w in --url | --token | --token-file | --ca-file | --cert-file | "
           "--key-file | "
           "--context | -o) skip=1 ;; "
           "-*) ;;\n"
           "        *) if [ -z \"$group\" ]; then group=$w; "
           "elif [ -z \"$verb\" ]; then verb=$w; fi ;; esac\n"
           "    done\n"
           "    case $group/$verb in\n    /) words='--context --url --token --token-file --ca-file "
           "--cert-file --key-file -o");
    for (size_t i = 0; i < ctl_command_count; i++)
        if (strcmp(last, ctl_commands[i].group) != 0)
            printf(" %s", last = ctl_commands[i].group);
    printf("' ;;\n");
    for (size_t i = 0; i < ctl_command_count;) {
        const char *group = ctl_commands[i].group;
        printf("    %s/) words='", group);
        for (; i < ctl_command_count && strcmp(ctl_commands[i].group, group) == 0; i++) {
            if (ctl_commands[i].verb != NULL)
                printf(" %s", ctl_commands[i].verb);
            else
                words_of(&ctl_commands[i]);
        }
        printf("' ;;\n");
    }
    for (size_t i = 0; i < ctl_command_count; i++)
        if (ctl_commands[i].verb != NULL) {
            printf("    %s/%s) words='", ctl_commands[i].group, ctl_commands[i].verb);
            words_of(&ctl_commands[i]);
            printf("' ;;\n");
        }
    printf("    esac\n"
           "    case ${COMP_WORDS[COMP_CWORD-1]} in\n"
           "    --graph | --file | --settings | --token-file | --ca-file | --cert-file | "
           "--key-file) compopt -o filenames; "
           "COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
           "    -o) words='table json yaml' ;;\n    esac\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
           "complete -F _prismctl prismctl\n");
    return CTL_OK;
}
