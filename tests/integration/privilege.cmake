prism_test(integration/privilege SOURCES ${T}/privilege_test.c LINK prism_it FIXTURE stack TIMEOUT 120)
