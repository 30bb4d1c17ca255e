# Writes the text file IN as the C array NAME (NUL-terminated) into OUT, with NAME_etag beside it:
# the beginning of its SHA-256, quoted. An array, not a string: C compilers promise only 4095
# characters of a string.
file(READ ${IN} hex HEX)
file(SHA256 ${IN} sha)
string(SUBSTRING ${sha} 0 32 sha)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n" bytes
    "${bytes}")
# In ASCII: others do not fit a char, and the compiler says so.
file(WRITE ${OUT} "extern const char ${NAME}[];\nconst char ${NAME}[] = {\n${bytes}0x00 };\n"
    "extern const char ${NAME}_etag[];\nconst char ${NAME}_etag[] = \"\\\"${sha}\\\"\";\n")
