# Each starts redis-server itself: no fixture.
set(own ${T}/own_redis.c)
prism_test(integration/functions SOURCES ${T}/functions_test.c ${own}
    LINK prism_dataplane_io PkgConfig::hiredis)
prism_test(integration/limits SOURCES ${T}/limits_test.c ${own}
    LINK prism_dataplane_io PkgConfig::hiredis)
prism_test(integration/wait SOURCES ${T}/wait_test.c ${own}
    LINK prism_dataplane_io PkgConfig::hiredis)
prism_test(integration/model SOURCES ${T}/model_test.c ${own} ${CMAKE_SOURCE_DIR}/tests/sim/model.c
    LINK prism_dataplane_io PkgConfig::hiredis)
target_include_directories(test_integration_model PRIVATE ${CMAKE_SOURCE_DIR}/tests/sim)
