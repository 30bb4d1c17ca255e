prism_test(property/s3_sign SOURCES ${T}/s3_sign_test.c LINK prism_s3)
