foreach(name backoff settle)
    prism_test(unit/autoscale_${name} SOURCES ${T}/autoscale_${name}_test.c LINK autoscale_core)
endforeach()
prism_test(unit/autoscale_aws_words SOURCES ${T}/autoscale_aws_words_test.c LINK autoscale_io)
