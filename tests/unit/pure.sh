#!/bin/sh
# pure.sh ARCHIVE: fails when a core's undefined symbols hold anything but our
# own base, memory, strings, mathematics, and what compilers (clang: bcmp) and sanitizers add.
# An allow-list: a new libc call in a core must be argued for here. The digests and ciphers of
# libcrypto and the packing of zstd that are named are functions of their arguments.
set -eu
allowed='^(pr_.*|XXH.*|SHA256|HMAC|EVP_(sha256|aes_256_gcm|CIPHER_CTX_(new|free|ctrl)|Cipher(Init_ex|Update|Final_ex))|ZSTD_(createCCtx|freeCCtx|compress(CCtx|Bound)?|decompress|getFrameContentSize|getErrorName|isError)|mem(cpy|move|set|cmp|chr|rchr|mem)|bcmp|str(len|cmp|ncmp|chr|rchr|str|nlen|dup|ndup|spn|cspn|tok_r|toul|toull|tol|toll|tod)|__isoc(99|23)_(strto.*|sscanf)|sscanf|v?snprintf|malloc|calloc|realloc|free|qsort|bsearch|abort|__assert_fail|isn?an|fabs|floor|ceil|sqrt|exp|exp2|expm1|log|log1p|log2|log10|pow|round|lround|llround|lrint|fmin|fmax|hypot|__(mem|str|v?sn?printf).*_chk|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__(asan|ubsan|tsan|sanitizer|gcov|llvm)_.*|__ctype_b_loc|inet_pton|__ctype_tolower_loc|pthread_(create|join|(mutex|cond)_.*)|sched_yield|mover_.*|client_.*|placement_.*)$'
own=$(nm --defined-only "$1" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u)
bad=$(nm -u "$1" | awk '$1 == "U" { print $2 }' | sort -u | grep -vE "$allowed" |
    grep -vxF "$own" || true)
if [ -n "$bad" ]; then
    printf '%s reaches outside:\n%s\n' "$1" "$bad" >&2
    exit 1
fi
echo "$(basename "$1"): pure"
