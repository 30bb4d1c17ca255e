prism_test(unit/s3_sign SOURCES ${T}/s3_sign_test.c LINK prism_s3)
prism_test(unit/s3_words SOURCES ${T}/s3_words_test.c LINK prism_s3)
