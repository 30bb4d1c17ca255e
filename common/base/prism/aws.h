/* Keys for AWS, and for whoever signs as it does. */
#ifndef PRISM_AWS_H
#define PRISM_AWS_H

struct pr_aws_keys { /* "" token: none */
    char access[128], secret[256], token[4096];
};

#endif
