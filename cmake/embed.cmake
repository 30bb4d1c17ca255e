# Writes the text file IN as the C string pr_library_code into OUT.
file(READ ${IN} text)
string(REPLACE "\\" "\\\\" text "${text}")
string(REPLACE "\"" "\\\"" text "${text}")
string(REPLACE "\n" "\\n\"\n    \"" text "${text}")
file(WRITE ${OUT} "#pragma GCC diagnostic ignored \"-Woverlength-strings\"\n#include \"prism/dp/library.h\"\n\nconst char pr_library_code[] =\n    \"${text}\";\n")
