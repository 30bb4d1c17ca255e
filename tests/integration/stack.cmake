prism_test(integration/stack SOURCES ${T}/stack_test.c LINK prism_it FIXTURE stack TIMEOUT 180)
