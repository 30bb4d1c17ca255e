prism_test(integration/dr_life SLOW SOURCES ${T}/dr_life_test.c ${T}/dr_bucket.c ${T}/dr_stage.c
    LINK prism_it dr_io prism_s3 prism_base FIXTURE stack s3 TIMEOUT 300)
add_dependencies(test_integration_dr_life prism-dr prism-rebalance prism-metadata-api prismctl)
